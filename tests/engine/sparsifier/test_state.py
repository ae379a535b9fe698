"""A sparsifier is copied, pickled, saved and loaded with its network and optimiser, and goes on alike."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.sparsifier.constrained import KeepAlive
from sparsecore.engine.sparsifier.schedules import Cubic

State = tuple[nn.Module, torch.optim.Optimizer, HardThreshold]

RULES: dict[str, Callable[[], HardThreshold]] = {
    "global": lambda: HardThreshold(0.2),
    "layerwise with a schedule": lambda: HardThreshold(Cubic(1.0, 0.2, 30), scope="layer", exempt=()),
    "latent": lambda: HardThreshold(0.2, mode="latent"),
    "floors": lambda: HardThreshold(0.3, keep_alive=KeepAlive(neuron=1)),
    "frozen": lambda: HardThreshold(0.2, freeze_at=5),
}


def begin(rule: str) -> State:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 5))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    return model, optimizer, RULES[rule]().attach(model, optimizer)


def go_on(state: State, first: int, last: int) -> None:
    model, optimizer, _ = state
    for step in range(first, last):
        source = torch.Generator().manual_seed(step)
        x, y = torch.randn(16, 6, generator=source), torch.randn(16, 5, generator=source)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()


def same(one: State, other: State) -> bool:
    weights = zip(one[0].parameters(), other[0].parameters(), strict=True)
    masks = zip(one[2].masks, other[2].masks, strict=True)
    counts = zip(one[2].counts, other[2].counts, strict=True)
    return all(torch.allclose(a, b, atol=1e-6) for a, b in weights) and all(
        torch.equal(a, b) for pairs in (masks, counts) for a, b in pairs
    )


def through_files(state: State, rule: str, path: Any) -> State:
    model, optimizer, sparsifier = state
    torch.save([part.state_dict() for part in (model, optimizer, sparsifier)], path)
    saved = torch.load(path, weights_only=True)
    fresh = begin(rule)
    for part, parts_state in zip(fresh, saved, strict=True):
        part.load_state_dict(parts_state)
    return fresh


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("way", ["deepcopy", "pickle", "state_dict"])
def test_a_copy_goes_on_like_the_original_and_apart_from_it(rule: str, way: str, tmp_path):
    state = begin(rule)
    go_on(state, 0, 10)
    if way == "deepcopy":
        copied = copy.deepcopy(state)
    elif way == "pickle":
        copied = pickle.loads(pickle.dumps(state))  # noqa: S301 - our own bytes
    else:
        copied = through_files(state, rule, tmp_path / "state.pt")
    assert same(state, copied)
    go_on(copied, 10, 20)
    assert not same(state, copied)
    go_on(state, 10, 20)
    assert same(state, copied)
    assert copied[2].step == 20
    assert sum(copied[2].kept) == sum(copied[2].budgets().values())


def test_a_state_of_other_layers_is_refused():
    state = begin("global")
    model = nn.Linear(3, 3)
    other = HardThreshold(0.5).attach(model, torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ValueError, match=r"is of layers of the shapes \[\(12, 6\), \(5, 12\)\]"):
        other.load_state_dict(state[2].state_dict())


def test_the_network_alone_keeps_its_state_dict():
    model, _, _ = begin("frozen")
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_how_much_the_support_moves_is_told_after_every_step():
    layer = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[4.0, 3.0, 2.0, 1.0]]))
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    sparsifier = HardThreshold(0.5).attach(layer, optimizer)
    told = []
    for gradient in ([0.0] * 4, [0.0] * 4, [0.0, 0.0, -9.0, 0.0], [-9.0, 0.0, 0.0, -9.0], [0.0] * 4):
        layer.weight.grad = torch.tensor([gradient])
        optimizer.step()
        told.append((sparsifier.changed, round(sparsifier.jaccard, 3), sparsifier.still))
    # All four → {0, 1} → the same → {0, 2} → {0, 2 or 3}: 2 holds 9, 3 holds 9, 0 holds 13: {0, 2} by index.
    assert told == [(2, 0.5, 0), (0, 1.0, 1), (2, 0.333, 0), (0, 1.0, 1), (0, 1.0, 2)]
