"""The smallest density by bisection, and densities a layer by Optuna: what they ask for, and never twice."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.bisection import (
    CLOSE_ENOUGH,
    LOWEST,
    Bisection,
    NoBaseline,
    is_worse,
    next_density,
    worst_accepted,
)
from sparsecore.runs.sweeps.executors import OnCells
from sparsecore.runs.sweeps.layer_search import LayerSearch, prunable_layers
from sparsecore.runs.sweeps.spec import SweepSpec

SINC = SweepSpec(task="sinc", methods=("layerwise",), densities=(1.0,), parameters={"max_steps": 100})


class Known:
    """An executor whose runs end at once with a test metric that is a known function of their config."""

    def __init__(self, store: Store, rmse: Callable[[RunConfig], float]) -> None:
        self.store, self.rmse, self.trained = store, rmse, []

    def run(self, sweep_id: str, listen: OnCells, *more: str) -> None:
        specs = [stored.get(self.store, each).spec for each in (sweep_id, *more)]
        for cell in (cell for spec in specs for cell in stored.cells_of(self.store, spec)):
            if cell.status == "queued":
                self.end(cell.run.id, cell.config)
        listen([cell for spec in specs for cell in stored.cells_of(self.store, spec)])

    def end(self, run_id: str, config: RunConfig) -> None:
        value = self.rmse(config)
        self.store.claim(run_id, "w")
        result: dict[str, Any] = {"seconds": 1.0}
        if math.isfinite(value):
            result["metrics"] = {"train": {"rmse": value}, "test": {"rmse": value}}
        self.store.finish(run_id, "w", config.max_steps, "max_steps", {}, result)
        self.trained.append(config)


def breaks_below(density: float) -> Callable[[RunConfig], float]:
    return lambda config: 0.08 if config.density >= density else 0.3


# -- bisection --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("breaks", [0.004, 0.0073, 0.05, 0.37, 0.99])
def test_it_finds_where_the_method_breaks(store: Store, breaks: float):
    executor = Known(store, breaks_below(breaks))
    found = Bisection(store, executor, SINC, tolerance=0.1).find()
    assert (found.metric, found.dense, found.bound) == ("rmse", 0.08, pytest.approx(0.088))
    assert breaks <= found.density <= max(LOWEST, breaks * CLOSE_ENOUGH)
    assert len(executor.trained) <= 9


def test_asked_again_it_trains_nothing(store: Store):
    first = Bisection(store, Known(store, breaks_below(0.2)), SINC, 0.1).find()
    again = Known(store, breaks_below(0.2))
    assert Bisection(store, again, SINC, 0.1).find() == first
    assert again.trained == []


def test_a_wider_tolerance_trains_only_what_is_new(store: Store):
    executor = Known(store, lambda config: 0.08 + 0.02 * (1 - config.density))
    tight = Bisection(store, executor, SINC, 0.05).find()
    wide = Bisection(store, executor, SINC, 0.15).find()
    assert wide.density < tight.density
    assert len(executor.trained) == len(set(executor.trained))


def test_seeds_are_averaged_and_a_run_without_a_result_is_not_within(store: Store):
    def rmse(config: RunConfig) -> float:
        if config.density == LOWEST and config.seed == 1:
            return math.nan
        return 0.08 + 0.01 * config.seed

    found = Bisection(store, Known(store, rmse), SINC.model_copy(update={"seeds": (0, 1)}), 0.1).find()
    assert found.dense == pytest.approx(0.085)
    assert (found.evaluated[0].test, found.evaluated[0].within) == (None, False)
    assert found.evaluated[1].test == pytest.approx(0.085)
    assert len(found.evaluated[1].runs) == 2


def test_without_a_dense_result_there_is_nothing_to_compare_with(store: Store):
    with pytest.raises(NoBaseline, match="the dense run of seed 0 has no result"):
        Bisection(store, Known(store, lambda config: math.nan), SINC, 0.1).find()


@given(st.floats(0.005, 1.0), st.floats(0.005, 1.0))
def test_the_next_density_lies_strictly_between_or_the_ends_are_close(one: float, other: float):
    low, high = sorted((one, other))
    found = next_density(low, high)
    assert found is None if high <= low * CLOSE_ENOUGH else low < found < high


def test_a_tolerance_is_a_share_of_dense_in_the_direction_that_is_worse():
    assert is_worse("rmse", 0.09, worst_accepted("rmse", 0.08, 0.1))
    assert is_worse("accuracy", 0.89, worst_accepted("accuracy", 0.99, 0.1))
    assert not is_worse("accuracy", 0.9, worst_accepted("accuracy", 0.99, 0.1))


# -- densities a layer ------------------------------------------------------------------------------------


def kept_of(config: RunConfig) -> float:
    """The share of fc2 that a trial keeps, and nothing else, makes it good."""
    given = dict(pair.split("=") for pair in config.layer_densities.split(","))
    return 0.08 / float(given["fc2"])


def test_all_layers_but_embeddings_take_part(store: Store):
    assert prunable_layers(RunConfig(task="sinc"), store.home) == {"fc1": 16, "fc2": 256, "fc3": 16}
    assert prunable_layers(RunConfig(task="vulnerabilities"), store.home).keys() == {
        "blocks.0",
        "blocks.1",
        "head",
    }


def test_a_search_tries_uniform_densities_first_and_finds_better_ones(store: Store):
    search = LayerSearch(store, Known(store, kept_of), SINC)
    search.run(trials=30, together=3)
    assert [trial.uniform for trial in search.trials[:5]] == [True] * 4 + [False]
    assert [trial.densities["fc1"] for trial in search.trials[:4]] == [0.5, 0.2, 0.1, 0.05]
    assert all(min(trial.densities.values()) > 0 and trial.kept > 0 for trial in search.trials)
    front = search.front()
    assert [trial.kept for trial in front] == sorted(trial.kept for trial in front)
    assert [trial.test for trial in front] == sorted((trial.test for trial in front), reverse=True)
    assert not all(trial.uniform for trial in front)


def test_searched_again_it_goes_the_same_way_and_trains_nothing(store: Store):
    first, again = (LayerSearch(store, Known(store, kept_of), SINC) for _ in range(2))
    first.run(trials=14, together=2)
    again.run(trials=14, together=2)
    assert [trial.summary() for trial in again.trials] == [trial.summary() for trial in first.trials]
    assert again.executor.trained == []


class Slow(Known):
    """An executor whose runs first log an early measurement; those told to stop then end as stopped."""

    def end(self, run_id: str, config: RunConfig) -> None:
        self.store.claim(run_id, "w")
        value = self.rmse(config)
        measured = f'{{"metrics":{{"test":{{"rmse":{value}}}}}}}'.encode()
        self.store.write(run_id, "w", 25, [LogEntry("record", 25, measured)])
        self.listen(())
        stopped = ("stop", {}) in self.store.take_commands(run_id)
        metrics = {"train": {"rmse": value}, "test": {"rmse": value}}
        result = {"seconds": 1.0, "metrics": metrics}
        step, reason = (25, "stopped") if stopped else (100, "max_steps")
        self.store.finish(run_id, "w", step, reason, {}, result)
        self.trained.append(config)

    def run(self, sweep_id: str, listen: OnCells, *more: str) -> None:
        self.listen = listen
        super().run(sweep_id, listen, *more)


def test_a_hopeless_run_is_stopped_and_not_trained_again_by_the_next_search(store: Store):
    def rmse(config: RunConfig) -> float:  # the more fc2 keeps the worse: the first trial is the worst
        given = dict(pair.split("=") for pair in config.layer_densities.split(","))
        return float(given["fc2"])

    search = LayerSearch(store, Slow(store, rmse), SINC)
    search.run(trials=12)
    ended = [trial.ended for trial in search.trials]
    assert ended[:4] == ["finished"] * 4  # each keeps less than those before it: none can be told hopeless
    hopeless = [trial for trial in search.trials if trial.ended == "hopeless"]
    assert hopeless
    assert all(trial.test is None and trial not in search.front() for trial in hopeless)
    again = LayerSearch(store, Slow(store, rmse), SINC)
    again.run(trials=12)
    assert again.executor.trained == []
    assert [trial.ended for trial in again.trials] == ended
