"""The weights before and after the cut: what the last step cut from, and how a frame counts both."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sparsecore.engine.batch.loop import train_many
from sparsecore.engine.batch.stack import Stack
from sparsecore.engine.config import RunConfig
from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.training.before_step import BeforeStep, uncut
from sparsecore.engine.training.events import Frame
from sparsecore.engine.training.frame import counted, spreads
from sparsecore.engine.training.frame_layout import SPREAD_BINS
from sparsecore.engine.training.trainer import Training


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def training(**parameters: Any) -> Training:
    return Training(RunConfig(**({"device": "cpu", "density": 0.2, "theta": 0.0} | parameters)))


def where(counts: np.ndarray) -> dict[int, int]:
    return {int(place): int(counts[place]) for place in counts.nonzero()[0]}


# -- by hand ------------------------------------------------------------------------------------------------


@pytest.fixture
def one_row() -> tuple[nn.Linear, torch.optim.Adam, HardThreshold, BeforeStep]:
    """w = (1, −0.5, 0.2), of which one is kept; every gradient is 1, so that Adam moves each by −0.1."""
    layer = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -0.5, 0.2]]))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, fused=True)
    return layer, optimizer, HardThreshold(1 / 3).attach(layer, optimizer), BeforeStep(layer)


def step(layer: nn.Linear, optimizer: torch.optim.Adam, before: BeforeStep) -> None:
    optimizer.zero_grad()
    layer.weight.sum().backward()
    before.save()
    optimizer.step()


def test_z_is_where_adam_had_moved_the_weights_before_they_were_cut(one_row):
    layer, optimizer, rule, before = one_row
    step(layer, optimizer, before)
    assert uncut(rule, before, optimizer, 0.1)[0].tolist() == [pytest.approx([0.9, -0.6, 0.1])]
    step(layer, optimizer, before)
    assert uncut(rule, before, optimizer, 0.1)[0].tolist() == [pytest.approx([0.8, -0.1, -0.1])]
    assert layer.weight.tolist() == [pytest.approx([0.8, 0.0, 0.0])]


def test_what_was_kept_and_what_was_cut_are_counted_where_they_were_before_the_cut(one_row):
    layer, optimizer, rule, before = one_row
    step(layer, optimizer, before)
    arrays, edge = spreads(rule, uncut(rule, before, optimizer, 0.1))
    # 32·√0.9 = 30.4, 32·√0.6 = 24.8 below zero, 32·√0.1 = 10.1
    assert edge == 1.0
    assert where(arrays["spread.kept.0"]) == {32 + 30: 1}
    assert where(arrays["spread.cut.0"]) == {31 - 24: 1, 32 + 10: 1}
    assert all(array.shape == (SPREAD_BINS,) and array.dtype == np.uint16 for array in arrays.values())


def test_without_a_cut_only_what_stands_is_counted(one_row):
    *_, rule, _ = one_row
    arrays, edge = spreads(rule, None)
    assert (edge, list(arrays)) == (1.0, ["spread.kept.0"])
    assert arrays["spread.kept.0"].sum() == 3


def test_a_bin_holds_its_lower_bound_and_the_last_one_the_edge():
    bounds = torch.tensor([(k / 32) ** 2 for k in range(33)])
    everywhere = torch.ones(33, dtype=torch.bool)
    kept, cut = counted(bounds, everywhere, 1.0)
    assert where(kept) == {32 + k: 1 for k in range(31)} | {63: 2}
    assert not cut.any()
    _, cut = counted(-bounds[1:], ~everywhere[1:], 1.0)
    assert where(cut) == {31 - k: 1 for k in range(1, 31)} | {0: 2}


# -- in training --------------------------------------------------------------------------------------------


def what_the_projection_meets(run: Training) -> list[list[Tensor]]:
    """Copies of the weights each time they are about to be cut."""
    met, rule = [], run.sparsifier
    project = rule.project

    def watched() -> None:
        met.append([layer.weight.detach().clone() for layer in rule.layers])
        project()

    rule.project = watched
    return met


@pytest.mark.parametrize(
    "parameters",
    [
        {"method": "global"},
        {"method": "layerwise"},
        {"mode": "latent"},
        {"task": "spirals", "schedule": "cubic", "schedule_steps": 10},
        {"keep_alive": 1, "method": "global"},
        {"task": "vulnerabilities", "method": "layerwise"},
    ],
    ids=str,
)
def test_z_is_what_the_projection_met(parameters: dict[str, Any]):
    run = training(**parameters)
    met = what_the_projection_meets(run)
    for _ in range(3 if run.config.task == "vulnerabilities" else 12):
        run.advance()
    found = uncut(run.sparsifier, run.before, run.optimizer, run.rate)
    assert any(z is not None for z in found)
    for z, seen, mask, layer in zip(found, met[-1], run.sparsifier.masks, run.sparsifier.layers, strict=True):
        if z is None:
            assert mask.all()
        else:
            assert torch.allclose(z, seen, rtol=1e-5, atol=1e-8)
            assert torch.equal(seen[mask], layer.weight[mask])


def test_a_frame_counts_every_weight_once():
    run = training(method="layerwise")
    for _ in range(5):
        run.advance()
    frame = run.frame()
    for index, entry in enumerate(frame.meta["matrices"]):
        kept, cut = (int(frame.arrays[f"spread.{part}.{index}"].sum()) for part in ("kept", "cut"))
        assert kept == frame.meta["layers"][entry["layer"]]["kept"]
        assert kept + cut == entry["rows"] * entry["cols"]


def test_another_learning_rate_for_the_next_step_does_not_change_what_the_last_one_was():
    run = training()
    for _ in range(5):
        run.advance()
    before = run.frame().arrays
    run.change({"learning_rate": 0.5})
    after = run.frame().arrays
    assert all((before[name] == after[name]).all() for name in before)


def test_no_cut_is_told_of_where_there_was_none_or_none_is_known():
    run = training()
    assert not cuts(run)  # before the first step
    run.advance()
    assert cuts(run)
    again = training()
    again.restore(run.checkpoint())
    assert not cuts(again)
    again.advance()
    assert cuts(again)
    run.change({"freeze_at": 1})
    run.advance()
    assert not cuts(run)
    run.change({"freeze_at": None})
    run.advance()
    run.change({"method": "global"})
    assert not cuts(run)


def cuts(run: Training) -> bool:
    return "spread.cut.0" in run.frame().arrays


def test_last_good_weights_that_were_put_back_are_not_told_as_a_cut():
    run = training()
    for _ in range(2):
        run.advance()
    with torch.no_grad():
        run.task.y.fill_(torch.inf)
    assert run.advance()[0] == "diverged"
    assert not cuts(run)


def test_dense_training_cuts_nothing():
    run = training(method="dense", density=1.0)
    run.advance()
    arrays = run.frame().arrays
    assert arrays["spread.cut.1"].sum() == 0
    assert arrays["spread.kept.1"].sum() == 16 * 16


def test_a_batch_tells_the_same_as_each_run_alone():
    configs = [
        RunConfig(device="cpu", method=method, density=0.2, learning_rate=rate, theta=0.0)
        for method, rate in (("layerwise", 1e-3), ("global", 1e-2), ("dense", 1e-3))
    ]
    together, alone = [Training(config) for config in configs], [Training(config) for config in configs]
    stack = Stack(dict(enumerate(together)))
    for _ in range(8):
        stack.advance()
        for run in alone:
            run.advance()
    for one, other in zip(together, alone, strict=True):
        pairs = zip(*(uncut(r.sparsifier, r.before, r.optimizer, r.rate) for r in (one, other)), strict=True)
        for z, single in pairs:
            assert (z is None) == (single is None)
            assert z is None or torch.allclose(z, single, rtol=1e-4, atol=1e-6)


def test_frames_of_a_batch_tell_their_cut():
    ticks = iter(range(10_000))
    configs = [RunConfig(device="cpu", seed=seed, max_steps=60, density=0.2) for seed in (0, 1)]
    told = train_many(configs, clock=lambda: next(ticks) * 0.02)
    frames = [event for _, event in told if isinstance(event, Frame) and event.step]
    assert len(frames) > 4
    for frame in frames:
        assert frame.arrays["spread.kept.1"].sum() + frame.arrays["spread.cut.1"].sum() == 256
