"""Reproductions made up of a few trials, for the rules that compare them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sparsecore.paper import gather
from sparsecore.paper.plan import FLOORS, Plan
from sparsecore.paper.record import Reproduction, Trial
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker

LAYERS = (
    {"name": "fc1", "shape": (200, 1), "nonzeros": 200, "prunable": False},
    {"name": "fc2", "shape": (300, 200), "nonzeros": 24_000, "prunable": True},
    {"name": "fc3", "shape": (1, 300), "nonzeros": 300, "prunable": False},
)


def _trial(column: str, density: float, seed: int, train: float | None, test: float | None, **more) -> Trial:
    """One run that ended well, unless `more` says otherwise."""
    found = {
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
    given = {"column": column, "density": density, "seed": seed, "train": train, "test": test}
    return Trial(**(found | given | more))


@pytest.fixture
def trial() -> Callable[..., Trial]:
    """One run, by column, density, seed and its metric on the training and the test part."""
    return _trial


@pytest.fixture
def pair() -> Callable[..., list[Trial]]:
    """Three runs of one cell whose metrics hardly differ."""

    def make(column: str, density: float, train: float, test: float, **more) -> list[Trial]:
        return [_trial(column, density, seed, train, test + 0.0001 * seed, **more) for seed in (0, 1, 2)]

    return make


@pytest.fixture
def three() -> Callable[..., list[Trial]]:
    """Runs of one cell with these metrics on the test part."""

    def make(column: str, density: float, *tests: float, **more) -> list[Trial]:
        return [_trial(column, density, seed, 0.07, test, **more) for seed, test in enumerate(tests)]

    return make


@pytest.fixture
def dead() -> Callable[..., list[Trial]]:
    """Three runs of one cell that collapsed, at steps 1, 41 and 81."""

    def make(
        column: str, density: float, test: float = 0.36, layer: str | None = "fc3", **more
    ) -> list[Trial]:
        detail = {"what": "empty", "layer": layer} if layer else {"what": "constant"}
        ended = {"status": "collapsed", "reason": "collapsed"}
        return [
            _trial(
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
def made() -> Callable[..., Reproduction]:
    """A reproduction of a table with these trials."""

    def make(*trials: Trial, table: str = "3-1", size: str = "paper", **parameters) -> Reproduction:
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
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, dict[str, Plan]]]:
    """A store with Tables 3-1 and 3-2 at the demo size, three steps a run, trained in this process."""
    home: Path = tmp_path_factory.mktemp("reproduced")
    store = Store(home)
    plans = {name: Plan(name, (0,), "demo", parameters={"max_steps": 3}) for name in ("3-1", "3-2")}
    for plan in plans.values():
        gather.begin(store, plan)
    for run in store.list(states=["queued"]):
        store.claim(run.id, "test")
        Worker(store, store.get(run.id), "test").work()
    yield store, plans
    store.close()
