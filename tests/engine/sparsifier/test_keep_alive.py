"""keep_alive: so many weights a row and a layer survive, and the total stays exact."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.projection.project import project_
from sparsecore.engine.sparsifier.constrained import KeepAlive, reserve


def test_of_each_row_the_largest_are_reserved():
    w = torch.tensor([[5.0, -4.0, 3.0], [0.1, -0.3, 0.2]])
    assert reserve(w, KeepAlive(neuron=2)).tolist() == [[True, True, False], [False, True, True]]


def test_equal_magnitudes_are_reserved_by_index():
    w = torch.tensor([[1.0, -1.0, 1.0]])
    assert reserve(w, KeepAlive(neuron=2)).tolist() == [[True, True, False]]


def test_a_layer_is_filled_up_with_its_largest_others():
    w = torch.tensor([[5.0, 4.0, 0.5], [0.3, 0.1, 0.2]])
    mask = reserve(w, KeepAlive(neuron=1, layer=3))
    assert mask.tolist() == [[True, True, False], [True, False, False]]


def test_a_row_shorter_than_its_floor_is_kept_whole():
    w = torch.tensor([[1.0], [0.0]])
    assert reserve(w, KeepAlive(neuron=5, layer=9)).all()
    assert KeepAlive(neuron=5, layer=9).total([(2, 1)]) == 2


def test_an_infinite_weight_does_not_push_out_what_a_row_asks_for():
    w = torch.tensor([[torch.inf, torch.inf], [0.1, 0.2]])
    mask = reserve(w, KeepAlive(neuron=1, layer=3))
    assert mask.tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_dtypes_reserve_alike(dtype: torch.dtype):
    w = torch.tensor([[5.0, 4.0, 0.5], [0.3, 0.1, 0.2]])
    floor = KeepAlive(neuron=1, layer=3)
    assert torch.equal(reserve(w.to(dtype), floor), reserve(w, floor))


def test_convolutions_have_a_row_for_each_output_channel():
    w = torch.zeros(3, 2, 2, 2)
    w[1, 1, 0, 1] = -2.0
    mask = reserve(w, KeepAlive(neuron=1))
    assert mask.shape == w.shape
    assert mask.flatten(1).sum(dim=1).tolist() == [1, 1, 1]
    assert mask[1, 1, 0, 1]


@pytest.mark.parametrize(("layer", "neuron"), [(-1, 0), (0, -2), (0, 1.5), (True, 0)])
def test_a_floor_that_is_no_whole_number_is_refused(layer: int, neuron: int):
    with pytest.raises(ValueError, match="keep_alive takes whole numbers from 0"):
        KeepAlive(layer, neuron)


def best_by_enumeration(w: Tensor, floor: KeepAlive, keep: int) -> float:
    """The largest Σw² over all supports of `keep` positions that honour the floors."""
    rows, cols = w.shape
    best = -1.0
    for chosen in itertools.combinations(range(rows * cols), keep):
        in_row = [sum(place // cols == row for place in chosen) for row in range(rows)]
        if min(in_row) >= min(floor.neuron, cols) and keep >= floor.layer:
            best = max(best, sum(float(w.flatten()[place]) ** 2 for place in chosen))
    return best


@settings(max_examples=40)
@given(st.lists(st.integers(-5, 5), min_size=6, max_size=6), st.integers(0, 2), st.integers(2, 5), st.data())
def test_floors_and_budget_together_are_the_exact_projection(values: list[int], neuron: int, keep: int, data):
    w = torch.tensor(values, dtype=torch.float32).view(2, 3)
    floor = KeepAlive(neuron=neuron)
    if floor.total([(2, 3)]) > keep:
        return
    best = best_by_enumeration(w, floor, keep)
    project_([w], keep, reserved=[reserve(w, floor)])
    assert float(w.square().sum()) == best


# -- in a network -----------------------------------------------------------------------------------------


def two_layers() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 10), nn.Sigmoid(), nn.Linear(10, 4))
    with torch.no_grad():
        model[2].weight.mul_(1e-3)  # the layer that a global budget empties first
    return model, torch.optim.SGD(model.parameters(), lr=0.01)


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.ones(3, 6)).square().mean().backward()
    optimizer.step()


def test_a_global_budget_empties_the_layer_of_small_weights_and_a_floor_does_not_let_it():
    model, optimizer = two_layers()
    bare = HardThreshold(0.2).attach(model, optimizer)
    step(model, optimizer)
    assert bare.kept == [20, 0]
    model, optimizer = two_layers()
    alive = HardThreshold(0.2, keep_alive=KeepAlive(neuron=1, layer=6)).attach(model, optimizer)
    step(model, optimizer)
    assert alive.kept == [14, 6]
    assert all(mask.any(dim=1).all() for mask in alive.masks)
    assert sum(int(layer.weight.count_nonzero()) for layer in alive.layers) == alive.budgets()["global"] == 20


def test_floors_that_ask_for_more_than_the_budget_give_way_and_say_so():
    model, optimizer = two_layers()
    sparsifier = HardThreshold(0.1, keep_alive=1).attach(model, optimizer)
    assert sparsifier.relaxed() == ["global"]
    with pytest.warns(UserWarning, match="more weights in global than its budget of 10"):
        step(model, optimizer)
    assert sum(sparsifier.kept) == 10
    assert all(int(mask.sum(dim=1).max()) <= 1 for mask in sparsifier.masks)
    sparsifier.density = 0.5
    assert sparsifier.relaxed() == []


def test_a_floor_may_be_set_while_it_trains():
    model, optimizer = two_layers()
    sparsifier = HardThreshold(0.2).attach(model, optimizer)
    step(model, optimizer)
    sparsifier.keep_alive = KeepAlive(neuron=1)
    step(model, optimizer)
    assert sparsifier.kept[1] >= 4
    assert sum(sparsifier.kept) == 20
