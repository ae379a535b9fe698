"""Another run's curves: runs of the same task that have begun, thinned."""

import json

import pytest

from sparsecore.dashboard import widgets
from sparsecore.dashboard.live_view import POINTS, comparable, curves
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import encode
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.store import Store
from sparsecore.words import words


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widgets, "say", lambda key, **values: words("en")[key].format(**values))


def begun(store: Store, config: RunConfig, rows: int = 1) -> str:
    run = store.create(config, worker="w")
    scene = LogEntry("scene", 0, encode({}, {"steps_an_epoch": 5}))
    records = [
        LogEntry(
            "record", step, json.dumps({"loss": 1, "metrics": {"test": {"accuracy": step / rows}}}).encode()
        )
        for step in range(1, rows + 1)
    ]
    bare = LogEntry("record", rows + 1, b'{"loss":1}')
    store.write(run, "w", rows + 1, [scene, *records, bare])
    return run


def test_runs_of_the_same_task_that_have_begun_can_be_compared(store: Store):
    first = begun(store, RunConfig(task="vulnerabilities", method="global", density=0.02, seed=3))
    begun(store, RunConfig(task="sinc"))
    store.create(RunConfig(task="vulnerabilities"))
    shown = begun(store, RunConfig(task="vulnerabilities"))
    assert comparable(store, store.get(shown)) == [
        {"id": first, "label": f"global ρ 0.02 · demo · seed 3 · {first}"}
    ]


def test_curves_are_thinned_and_keep_their_end(store: Store):
    run = begun(store, RunConfig(), rows=2 * POINTS + 2)
    found = curves(store, run)
    assert (found["id"], found["method"], found["steps_an_epoch"]) == (run, "layerwise", 5)
    steps = [row["step"] for row in found["rows"]]
    assert len(steps) <= POINTS + 1
    assert (steps[0], steps[-1]) == (1, 2 * POINTS + 2)
    assert found["rows"][0]["metrics"]["test"]["accuracy"] == 1 / (2 * POINTS + 2)
