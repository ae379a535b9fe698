"""Matrices under other names than `weight`, reparametrised ones, what cannot be held, and the report."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils import spectral_norm as old_spectral_norm
from torch.nn.utils import weight_norm as old_weight_norm
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from sparsecore.engine.methods.hard_threshold import HardThreshold


class Experts(nn.Module):
    """Experts stacked in one tensor, a bias of two dimensions, and one that is no known linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.randn(4, 8, 6))
        self.gate_up_proj_bias = nn.Parameter(torch.randn(4, 8))
        self.places = nn.Parameter(torch.randn(1, 9, 6))


def attached(model: nn.Module, **options: object) -> HardThreshold:
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])
    return HardThreshold(0.5, **options).attach(model, optimizer)


def names(sparsifier: HardThreshold) -> list[str]:
    return [layer.name for layer in sparsifier.layers if layer.group is not None]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.LSTM(3, 4, proj_size=2), ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0"]),
        (nn.GRU(3, 4), ["weight_ih_l0", "weight_hh_l0"]),
        (nn.GRUCell(3, 4), ["weight_ih", "weight_hh"]),
        (nn.MultiheadAttention(4, 2, add_bias_kv=True), ["in_proj_weight", "out_proj"]),
        (nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.Embedding(3, 4)), ["0"]),
        (nn.Sequential(weight_norm(nn.Linear(3, 4)), spectral_norm(nn.Linear(4, 4))), ["0", "1"]),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_linear_maps_are_pruned_by_default_whatever_their_names(model: nn.Module, expected: list[str]):
    assert names(attached(model)) == expected


def test_rules_choose_by_the_name_of_a_module_or_of_a_parameter():
    model = nn.ModuleDict({"lstm": nn.LSTM(3, 4), "out": nn.Linear(4, 2)})
    for rule, expected in (
        ("lstm", ["lstm.weight_ih_l0", "lstm.weight_hh_l0"]),
        ("lstm.weight_hh*", ["lstm.weight_hh_l0"]),
        (nn.LSTM, ["lstm.weight_ih_l0", "lstm.weight_hh_l0"]),
    ):
        with pytest.warns(UserWarning, match="weights in matrices are under no constraint: .*out"):
            assert names(attached(model, layers=rule)) == expected
    with pytest.raises(ValueError, match="no module with a weight matrix is chosen by GRU"):
        attached(model, layers=[nn.GRU, nn.Linear])


def test_stacked_experts_are_pruned_and_what_is_no_known_linear_map_is_told():
    with pytest.warns(UserWarning, match=r"gate_up_proj_bias .*, places \(no known linear map \(Experts\)\)"):
        sparsifier = attached(Experts())
    assert names(sparsifier) == ["gate_up_proj"]
    with pytest.warns(UserWarning, match="gate_up_proj"):
        assert names(attached(Experts(), layers="places")) == ["places"]


@pytest.mark.parametrize("wrap", [weight_norm, spectral_norm, old_weight_norm, old_spectral_norm])
@pytest.mark.filterwarnings("error::UserWarning")
def test_normalised_weights_have_the_zeros_of_what_is_trained_and_no_empty_row(wrap):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), wrap(nn.Linear(20, 20)), nn.ReLU(), nn.Linear(20, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    sparsifier = HardThreshold(0.1).attach(model, optimizer)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(16, 6)).square().mean().backward()
        optimizer.step()
    model(torch.randn(1, 6))  # the older forms compute the weight in the forward pass
    assert sum(int(model[place].weight.count_nonzero()) for place in (0, 2, 4)) == 56
    assert model[2].weight.isfinite().all()
    if wrap in (spectral_norm, old_spectral_norm):  # one weight in the layer is enough
        return
    sparsifier.density = 0.001
    with pytest.raises(ValueError, match="would divide by 0"):
        optimizer.step()


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (prune.l1_unstructured(nn.Linear(3, 4), "weight", 0.5), r"call prune.remove\(module, 'weight'\)"),
        (orthogonal(nn.Linear(4, 4)), "computed by _Orthogonal, which may undo zeros"),
        (nn.Linear(3, 4, dtype=torch.complex64), "its dtype is torch.complex64"),
        (nn.Linear(3, 4, device="meta"), "on the meta device"),
        (nn.LazyLinear(4), "has no shape yet: run one batch"),
    ],
)
def test_what_cannot_be_held_is_refused_in_a_sentence(layer: nn.Module, reason: str):
    with pytest.raises(ValueError, match=reason):
        HardThreshold(0.5).attach(layer, torch.optim.SGD(layer.parameters()))


def test_weights_without_gradient_are_left_alone_and_reported():
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    model[1].weight.requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = attached(model, exempt=["3"]).summary()
    whys = {row.name: row.why for row in found.rows}
    assert whys == {
        "0": "a table of rows (embedding)",
        "1": "requires no gradient",
        "2": "",
        "3": "exempt",
    }
    assert (found.constrained, found.matrices, found.parameters) == (16, 51, 61)
    assert str(found).startswith("16 of 61 parameters (26.2%) are constrained.")


def test_the_output_side_may_be_tied_to_the_embedding():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 5, bias=False))
    model[3].weight = model[0].weight
    assert names(attached(model, scope="layer")) == ["1", "2"]


class Quantised(nn.Module):
    """A trained layer after one that is quantised: packed in a module, or as a frozen parameter."""

    def __init__(self, packed: bool) -> None:
        super().__init__()
        self.base = torch.ao.nn.quantized.Linear(8, 8) if packed else nn.Linear(8, 8)
        if not packed:
            weight = torch.quantize_per_tensor(self.base.weight.detach(), 0.1, 0, torch.qint8)
            self.base.weight = nn.Parameter(weight, requires_grad=False)
        self.head = nn.Linear(8, 8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("packed", [True, False])
def test_quantised_weights_are_left_out_with_the_reason_and_refused_when_chosen(packed: bool):
    model = Quantised(packed)
    optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"cannot be constrained: base \(it is quantised to torch.qint8"):
        HardThreshold(0.5, layers="base").attach(model, optimizer)
    rows = HardThreshold(0.5).attach(model, optimizer).summary().rows
    assert [(row.name, row.group) for row in rows] == [("base", None), ("head", "global")]
    assert rows[0].why.startswith("it is quantised")
    with pytest.raises(ValueError, match=r"no weights to prune: \(model\) \(it is quantised"):
        HardThreshold(0.5).attach(model.base, optimizer)
