"""Fixtures that build reproductions from a few trials."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sparsecore.paper.plan import FLOORS, TablePlan
from sparsecore.paper.reproduction import ReproducedRun, Reproduction, enqueue
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker

LAYERS = (
    {"name": "fc1", "shape": (200, 1), "nonzeros": 200, "prunable": False},
    {"name": "fc2", "shape": (300, 200), "nonzeros": 24_000, "prunable": True},
    {"name": "fc3", "shape": (1, 300), "nonzeros": 300, "prunable": False},
)


def _make_trial(
    column: str, density: float, seed: int, train: float | None, test: float | None, **more
) -> ReproducedRun:
    """Return a run that converged, unless `more` says otherwise."""
    defaults = {
        "digest": f"{column}-{density}-{seed}",
        "run": f"r{seed}",
        "status": "done",
        "reason": "converged",
        "step": 900,
        "metric": "rmse",
        "budget": 24_000,
        "nonzeros": 24_000,
        "layers": LAYERS,
        "seconds": 1.0,
    }
    arguments = {"column": column, "density": density, "seed": seed, "train": train, "test": test}
    return ReproducedRun(**(defaults | arguments | more))


@pytest.fixture
def trial() -> Callable[..., ReproducedRun]:
    """Return a function that builds one run from column, density, seed, training and test metric."""
    return _make_trial


@pytest.fixture
def similar() -> Callable[..., list[ReproducedRun]]:
    """Return a function that builds three runs of one cell with nearly equal metrics."""

    def make(column: str, density: float, train: float, test: float, **more) -> list[ReproducedRun]:
        return [_make_trial(column, density, seed, train, test + 0.0001 * seed, **more) for seed in (0, 1, 2)]

    return make


@pytest.fixture
def trials_of() -> Callable[..., list[ReproducedRun]]:
    """Return a function that builds the runs of one cell with the given test metrics."""

    def make(column: str, density: float, *tests: float, **more) -> list[ReproducedRun]:
        return [_make_trial(column, density, seed, 0.07, test, **more) for seed, test in enumerate(tests)]

    return make


@pytest.fixture
def collapsed() -> Callable[..., list[ReproducedRun]]:
    """Return a function that builds three runs of one cell that collapsed at steps 1, 41 and 81."""

    def make(
        column: str, density: float, test: float = 0.36, layer: str | None = "fc3", **more
    ) -> list[ReproducedRun]:
        detail = {"what": "empty", "layer": layer} if layer else {"what": "constant"}
        ended = {"status": "collapsed", "reason": "collapsed"}
        return [
            _make_trial(
                column,
                density,
                seed,
                test,
                test + 0.001 * seed,
                detail=detail | {"step": 1 + 40 * seed},
                **ended,
                **more,
            )
            for seed in (0, 1, 2)
        ]

    return make


@pytest.fixture
def reproduction() -> Callable[..., Reproduction]:
    """Return a function that builds a reproduction of a table from trials."""

    def make(*trials: ReproducedRun, table: str = "3-1", size: str = "paper", **parameters) -> Reproduction:
        return Reproduction(
            table=table,
            size=size,
            seeds=tuple(sorted({each.seed for each in trials})) or (0,),
            parameters=parameters,
            command=f"python -m sparsecore reproduce {table}",
            commit="0" * 40,
            versions={"python": "3.11"},
            created="2026-01-01T00:00:00+00:00",
            floors=FLOORS,
            trials=trials,
        )

    return make


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, dict[str, TablePlan]]]:
    """A store with Tables 3-1 and 3-2 at the demo size, three steps per run, trained in this process."""
    home: Path = tmp_path_factory.mktemp("reproduced")
    store = Store(home)
    plans = {name: TablePlan(name, (0,), "demo", parameters={"max_steps": 3}) for name in ("3-1", "3-2")}
    for plan in plans.values():
        enqueue(store, plan)
    for run in store.list(states=["queued"]):
        store.claim(run.id, "test")
        Worker(store, store.get(run.id), "test").work()
    yield store, plans
    store.close()
