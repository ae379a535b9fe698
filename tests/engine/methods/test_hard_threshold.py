"""A sparsifier hooks any optimiser and leaves exactly the budget after every step."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sparsecore.engine.methods.dense import Dense
from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.sparsifier.base import NonFiniteWeights, Sparsifier
from sparsecore.engine.tasks.networks import Perceptron, TextClassifier

OPTIMISERS = {
    "SGD with momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam, fused": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
}


def network(widths: tuple[int, ...] = (3, 10, 8, 2)) -> Perceptron:
    torch.manual_seed(0)
    return Perceptron(widths)


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int = 0) -> None:
    source = torch.Generator().manual_seed(seed)
    x, y = torch.randn(16, 3, generator=source), torch.randn(16, 2, generator=source)
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()


def nonzeros(sparsifier: Sparsifier) -> list[int]:
    return [int(layer.weight.count_nonzero()) for layer in sparsifier.layers]


def single_row(values: list[float]) -> nn.Linear:
    """One linear layer without bias whose weights are these."""
    layer = nn.Linear(len(values), 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([values]))
    return layer


def follow_gradient(layer: nn.Linear, optimizer: torch.optim.Optimizer, gradient: list[float]) -> None:
    layer.weight.grad = torch.tensor([gradient])
    optimizer.step()


# -- by hand ----------------------------------------------------------------------------------------------


def test_a_step_is_the_optimisers_step_and_then_the_projection():
    layer = single_row([1.0, -2.0, 3.0, 0.5])
    optimizer = sgd(layer, lr=1.0)
    sparsifier = HardThreshold(0.5).attach(layer, optimizer)
    follow_gradient(layer, optimizer, [0.0, 1.5, 1.0, -4.0])  # z = 1, -3.5, 2, 4.5
    assert layer.weight.tolist() == [[0.0, -3.5, 0.0, 4.5]]
    assert sparsifier.thresholds == {"global": 3.5}
    assert sparsifier.masks[0].tolist() == [[False, True, False, True]]
    assert sparsifier.kept == [2]


def test_a_pruned_weight_may_come_back_and_counts_tell_how_often_each_was_kept():
    layer = single_row([4.0, 3.0, 1.0])
    optimizer = sgd(layer, lr=1.0)
    sparsifier = HardThreshold(1 / 3).attach(layer, optimizer)
    follow_gradient(layer, optimizer, [0.0, 0.0, 0.0])
    assert layer.weight.tolist() == [[4.0, 0.0, 0.0]]
    follow_gradient(layer, optimizer, [0.0, 0.0, -5.0])
    assert layer.weight.tolist() == [[0.0, 0.0, 5.0]]
    follow_gradient(layer, optimizer, [0.0, -9.0, 0.0])
    assert layer.weight.tolist() == [[0.0, 9.0, 0.0]]
    follow_gradient(layer, optimizer, [0.0, 0.0, 0.0])
    assert sparsifier.counts[0].tolist() == [[1, 2, 1]]
    assert sparsifier.counts[0].dtype == torch.int32


def test_before_the_first_step_nothing_is_pruned_or_counted():
    model = network()
    sparsifier = HardThreshold(0.1).attach(model, sgd(model))
    assert nonzeros(sparsifier) == sparsifier.kept == [30, 80, 16]
    assert not any(count.any() for count in sparsifier.counts)


def test_a_new_density_holds_from_the_next_step():
    model = network()
    optimizer = sgd(model)
    sparsifier = HardThreshold(0.5).attach(model, optimizer)
    step(model, optimizer)
    sparsifier.density = 0.1
    assert sum(nonzeros(sparsifier)) == 63
    step(model, optimizer)
    assert sum(nonzeros(sparsifier)) == 13
    sparsifier.density = 1.0
    step(model, optimizer)
    assert sum(sparsifier.kept) == 126


# -- budgets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_exactly_the_budget_is_left_after_every_step_of_any_optimiser(name: str, scope: str):
    model = network()
    optimizer = OPTIMISERS[name](model.parameters())
    sparsifier = HardThreshold(0.3, scope=scope).attach(model, optimizer)
    for seed in range(15):
        step(model, optimizer, seed)
        for group, places in sparsifier.members().items():
            assert sum(nonzeros(sparsifier)[place] for place in places) == sparsifier.budgets()[group]
            assert sum(sparsifier.kept[place] for place in places) == sparsifier.budgets()[group]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_with_every_optimiser_a_pruned_weight_returns_when_one_step_lifts_it_over_the_threshold(name: str):
    layer = single_row([4.0, 3.0, 1.0])
    optimizer = OPTIMISERS[name](layer.parameters())
    optimizer.param_groups[0]["lr"] = 100.0
    sparsifier = HardThreshold(1 / 3).attach(layer, optimizer)
    follow_gradient(layer, optimizer, [0.0, 0.0, 0.0])
    assert sparsifier.masks[0].tolist() == [[True, False, False]]
    follow_gradient(layer, optimizer, [0.0, 0.0, -1.0])
    assert sparsifier.masks[0].tolist() == [[False, False, True]]


def test_global_shares_one_budget_over_all_matrices():
    model = network()
    optimizer = sgd(model)
    sparsifier = HardThreshold(0.25, scope="global").attach(model, optimizer)
    step(model, optimizer)
    assert sparsifier.budgets() == {"global": 32}  # round(0.25 · 126)
    assert sparsifier.constrained() == 126
    kept = torch.cat([layer.weight[layer.weight != 0].abs() for layer in sparsifier.layers])
    assert kept.min().item() == sparsifier.thresholds["global"]


def test_layerwise_exempts_the_first_and_the_last_layer():
    model = network()
    optimizer = sgd(model)
    sparsifier = HardThreshold(0.25, scope="layer").attach(model, optimizer)
    step(model, optimizer)
    assert sparsifier.budgets() == {"fc2": 20}
    assert [layer.group for layer in sparsifier.layers] == [None, "fc2", None]
    assert nonzeros(sparsifier) == [30, 20, 16]
    assert sparsifier.constrained() == 80


def test_layerwise_may_exempt_nothing():
    model = network()
    optimizer = sgd(model)
    sparsifier = HardThreshold(0.5, scope="layer", exempt=()).attach(model, optimizer)
    step(model, optimizer)
    assert nonzeros(sparsifier) == [15, 40, 8]


def test_exempt_layers_count_every_step_as_kept():
    model = network()
    optimizer = sgd(model)
    sparsifier = HardThreshold(0.25, scope="layer").attach(model, optimizer)
    for seed in range(3):
        step(model, optimizer, seed)
    assert (sparsifier.counts[0] == 3).all()
    assert (sparsifier.counts[2] == 3).all()
    assert sparsifier.counts[1].sum() == 3 * 20


def test_biases_are_never_pruned():
    model = network()
    optimizer = sgd(model)
    HardThreshold(0.01).attach(model, optimizer)
    step(model, optimizer)
    assert all(model.get_submodule(name).bias.all() for name in ("fc1", "fc2", "fc3"))


def test_dense_keeps_and_counts_everything():
    model = network()
    optimizer = sgd(model)
    sparsifier = Dense().attach(model, optimizer)
    step(model, optimizer)
    assert sparsifier.budgets() == {"all": 126}
    assert nonzeros(sparsifier) == [30, 80, 16]
    assert all((count == 1).all() for count in sparsifier.counts)


# -- blocks -----------------------------------------------------------------------------------------------


def text_network() -> TextClassifier:
    torch.manual_seed(0)
    return TextClassifier(vocabulary=12, length=4, width=8, hidden=16, blocks=3, classes=4)


def test_a_block_of_modules_is_one_layer_and_embedding_and_head_are_exempt():
    model = text_network()
    optimizer = sgd(model)
    sparsifier = HardThreshold(0.25, scope="layer").attach(model, optimizer, blocks=("blocks.*",))
    assert sparsifier.budgets() == dict.fromkeys(("blocks.0", "blocks.1", "blocks.2"), 112)  # of 448
    model(torch.tensor([[1, 2, 3, 4]])).sum().backward()
    optimizer.step()
    for group, places in sparsifier.members().items():
        assert len(places) == 5
        assert sum(nonzeros(sparsifier)[place] for place in places) == sparsifier.budgets()[group]
    by_name = {layer.name: layer for layer in sparsifier.layers}
    assert by_name["embedding"].group is by_name["head"].group is None
    assert not by_name["embedding"].prunable
    assert by_name["head"].weight.all()


def test_a_pattern_names_modules_at_its_own_depth():
    model = text_network()
    sparsifier = HardThreshold(0.5, scope="layer").attach(model, sgd(model), blocks=("*.0",))
    assert {layer.block for layer in sparsifier.layers if layer.name.startswith("blocks.0.")} == {"blocks.0"}
    assert "blocks.1.query" in {layer.block for layer in sparsifier.layers}


def test_global_leaves_the_embedding_alone():
    model = text_network()
    optimizer = sgd(model)
    sparsifier = HardThreshold(0.1, scope="global").attach(model, optimizer)
    model(torch.tensor([[1, 2, 3, 4]])).sum().backward()
    optimizer.step()
    assert sparsifier.layers[0].name == "embedding"
    assert (model.embedding.weight[1:] != 0).all()
    assert sum(nonzeros(sparsifier)[1:]) == round(0.1 * (3 * 448 + 32 * 4))


def test_a_tied_weight_counts_once():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    sparsifier = HardThreshold(0.5).attach(model, sgd(model))
    assert [layer.name for layer in sparsifier.layers] == ["0"]
    assert sparsifier.budgets() == {"global": 8}


# -- errors -----------------------------------------------------------------------------------------------


def test_attaching_twice_is_refused_and_after_detach_it_is_allowed():
    model = network()
    sparsifier = HardThreshold(0.5).attach(model, sgd(model))
    with pytest.raises(ValueError, match=r"already attached; call detach\(\) first"):
        sparsifier.attach(model, sgd(model))
    sparsifier.detach()
    sparsifier.attach(model, sgd(model))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()), "it has no matrix"),
        (nn.Sequential(nn.Embedding(5, 3)), r"0 \(a table of rows"),
    ],
)
def test_a_model_with_nothing_to_prune_is_refused_with_the_reason(model: nn.Module, why: str):
    with pytest.raises(ValueError, match=f"no weights to prune: {why}"):
        HardThreshold(0.5).attach(model, sgd(model))


def test_a_model_whose_layers_are_all_exempt_is_refused_and_stays_unhooked():
    model = network((3, 4, 2))
    optimizer = sgd(model)
    sparsifier = HardThreshold(0.1, scope="layer")
    with pytest.raises(ValueError, match="there is no layer to prune"):
        sparsifier.attach(model, optimizer)
    step(model, optimizer)
    assert model.fc1.weight.all()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: HardThreshold(1.5), "density must be greater than 0 and at most 1; got 1.5"),
        (lambda: HardThreshold(0), "density must be greater than 0 and at most 1; got 0"),
        (lambda: HardThreshold(0.5, scope="row"), "scope must be one of global, layer; got 'row'"),
        (lambda: HardThreshold(0.5, distribution="erk"), "needs scope='layer'"),
        (lambda: HardThreshold({"*": 0.5}), "needs scope='layer'"),
        (lambda: HardThreshold(0.5, keep_alive=-1), "keep_alive takes whole numbers from 0"),
    ],
)
def test_a_wrong_argument_is_named(make: Callable[[], HardThreshold], sentence: str):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_wrong_new_density_leaves_the_old_one():
    sparsifier = HardThreshold(0.5)
    with pytest.raises(ValueError, match="greater than 0"):
        sparsifier.density = -1
    assert sparsifier.density == 0.5


def test_after_detach_no_step_is_projected():
    model = network()
    optimizer = sgd(model)
    sparsifier = HardThreshold(0.1).attach(model, optimizer)
    step(model, optimizer)
    sparsifier.detach()
    sparsifier.detach()
    step(model, optimizer)
    assert sum(nonzeros(sparsifier)) > 13


def test_a_nan_names_its_layer():
    model = network()
    optimizer = sgd(model)
    HardThreshold(0.5).attach(model, optimizer)

    def spoil(gradient: Tensor) -> Tensor:
        return gradient * torch.nan

    model.fc2.weight.register_hook(spoil)
    before = model.fc1.weight.clone()
    with pytest.raises(NonFiniteWeights, match="fc2") as refused:
        step(model, optimizer)
    assert refused.value.layer == "fc2"
    assert (model.fc1.weight != 0).all()
    assert not torch.equal(model.fc1.weight, before)
