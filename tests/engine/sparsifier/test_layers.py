"""Which weights a method sees: by type, by pattern, by function; through wrappers; once each."""

import pytest
import torch
from torch import nn

from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.sparsifier.layers import find_layers, unwrapped


class Tower(nn.Module):
    """A convolution, two named linear layers and an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.stem = nn.Conv2d(1, 3, 2)
        self.body = nn.ModuleDict({"up": nn.Linear(4, 8), "down": nn.Linear(8, 4)})
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 2)


def chosen(selection: object) -> list[str]:
    return [layer.name for layer in find_layers(Tower(), selection, ()) if layer.prunable]


def test_by_default_linear_and_convolution_layers_are_pruned_and_embeddings_only_listed():
    assert chosen(None) == ["stem", "body.up", "body.down", "head"]
    assert next(layer.name for layer in find_layers(Tower(), None, ())) == "embedding"


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("body.*", ["body.up", "body.down"]),
        (["body.up", "head"], ["body.up", "head"]),
        (nn.Conv2d, ["stem"]),
        ([nn.Embedding, "head"], ["embedding", "head"]),
        (lambda name, module: isinstance(module, nn.Linear) and module.out_features > 4, ["body.up"]),
    ],
)
def test_weights_are_chosen_by_pattern_type_or_function(selection: object, names: list[str]):
    assert chosen(selection) == names


def test_a_pattern_that_matches_nothing_is_named():
    with pytest.raises(
        ValueError, match=r"no module with a weight matrix is chosen by the pattern 'bdy\.\*'"
    ):
        chosen(["bdy.*", "head"])


def test_vectors_are_no_weight_matrices():
    with pytest.raises(ValueError, match="'norm'"):
        chosen("norm")


def test_a_tied_weight_is_found_once_and_pruned_if_either_name_is_chosen():
    model = nn.Sequential(nn.Embedding(4, 4), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    assert [(layer.name, layer.prunable) for layer in find_layers(model, "1", ())] == [("0", True)]
    assert [(layer.name, layer.prunable) for layer in find_layers(model, None, ())] == [("0", False)]


def test_exempt_takes_patterns_beside_first_and_last():
    model = Tower()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsifier = HardThreshold(0.5, scope="global", exempt=("last", "body.u*")).attach(model, optimizer)
    assert {layer.name for layer in sparsifier.layers if layer.group} == {"stem", "body.down"}
    with pytest.raises(ValueError, match="'boddy' matches none"):
        HardThreshold(0.5, exempt=("boddy",)).attach(model, optimizer)


def test_a_pattern_after_a_sign_takes_back_what_was_exempt():
    model = Tower()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    exempt = ("first", "last", "body.*", "!head", "!body.u*")
    sparsifier = HardThreshold(0.5, scope="layer", exempt=exempt).attach(model, optimizer)
    assert {layer.name for layer in sparsifier.layers if layer.group} == {"stem", "body.up", "head"}


def test_a_compiled_model_is_looked_into_and_names_stay_as_they_were():
    model = Tower()
    compiled = torch.compile(model)
    assert unwrapped(compiled) is model
    assert chosen_of(compiled) == chosen_of(model)


def chosen_of(model: nn.Module) -> list[str]:
    return [layer.name for layer in find_layers(model, None, ())]


def test_data_parallel_is_looked_into():
    model = Tower()
    assert unwrapped(nn.DataParallel(model)) is model


def test_weights_that_the_optimiser_does_not_hold_are_named():
    model = Tower()
    optimizer = torch.optim.SGD(model.body.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="does not update the weight of stem, head"):
        HardThreshold(0.5).attach(model, optimizer)
    HardThreshold(0.5, layers="body.*").attach(model, optimizer)
