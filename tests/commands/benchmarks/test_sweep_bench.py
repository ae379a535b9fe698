"""`bench sweep`: the plain script trains what the sweep trains, and the figures are those of this run."""

import pytest
import torch

from sparsecore.commands.benchmarks import plain_sweep
from sparsecore.commands.benchmarks import sweep as bench
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.sinc import Sinc
from sparsecore.engine.training.trainer import Training
from sparsecore.runs.workers import worker


@pytest.mark.parametrize(("method", "density"), [("dense", 1.0), ("global", 0.2), ("layerwise", 0.05)])
def test_the_plain_script_trains_what_the_sweep_trains(method: str, density: float):
    torch.set_num_threads(1)
    plain = plain_sweep.train(method, density, 3, max_steps=5, theta=0.0)
    config = RunConfig(size="paper", method=method, density=density, seed=3, max_steps=5, theta=0.0)
    training = Training(config)
    for _ in range(5):
        training.advance()
    assert (plain["steps"], plain["reason"]) == (5, "max_steps")
    assert plain["rmse"] == pytest.approx(training.task.metrics()["test"]["rmse"], rel=1e-4)


def test_its_points_are_those_of_the_task():
    task = Sinc(RunConfig(seed=3), torch.device("cpu"))
    x, y = plain_sweep.points(3, 1)
    assert torch.equal(x, task.x)
    assert torch.equal(y, task.y)


def test_a_layer_that_stays_empty_ends_the_plain_run_as_it_ends_ours():
    found = plain_sweep.train("global", 0.05, 0, max_steps=70, theta=0.0)
    assert (found["reason"], found["steps"]) == ("collapsed", plain_sweep.COLLAPSE_STEPS)


def test_the_cost_of_a_store_is_a_ratio_of_two_trainings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench, "one_thread", lambda: torch.set_num_threads(1))
    monkeypatch.setattr(worker, "one_thread", lambda: torch.set_num_threads(1))
    monkeypatch.setattr(bench, "COST_STEPS", 20)
    told: list[tuple[str, int, int]] = []
    figures = bench.cost(2, lambda *each: told.append(each))
    low, high = figures["stored_over_bare_95_percent"]
    assert 0 < low <= figures["stored_over_bare"] <= high
    assert told == [("store and frames", 1, 2), ("store and frames", 2, 2)]


@pytest.mark.slow
def test_the_whole_bench_compares_the_same_runs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench, "one_thread", lambda: torch.set_num_threads(1))
    figures = bench.sweep(steps=60, repeats=1, pairs=2, tell=lambda *each: None)
    assert figures["runs"] == 10
    assert len(set(figures["steps_taken"].values())) == 1
    assert figures["over_plain"] > 0
