"""What is found by training: a bisection that the page asks for, and the front of searches in the store."""

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import insert

from sparsecore.dashboard.jobs import Job
from sparsecore.dashboard.sweep import layer_search
from sparsecore.dashboard.sweep.bisection import BISECTIONS, find_smallest, key
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.run import new_row
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import SweepSpec

SPEC = SweepSpec(task="sinc", methods=("layerwise",), densities=(1.0,), seeds=(0,))
GOOD_FROM = 0.1  # the density from which the runs of these tests are as good as dense

pytestmark = pytest.mark.usefixtures("served")


def row(config: RunConfig, test: float) -> dict:
    layer = {"name": "fc1", "shape": [16, 16], "prunable": True, "nonzeros": round(256 * config.density)}
    result = {
        "metrics": {"train": {"rmse": test}, "test": {"rmse": test}},
        "layers": [layer],
        "steps": 100,
        "seconds": 1.0,
        "nonzeros": layer["nonzeros"],
        "budget": layer["nonzeros"],
    }
    return new_row(config, "sweep") | {"state": "ended", "reason": "max_steps", "result": result, "step": 100}


@pytest.fixture
def trainer(store: Store) -> Iterator[None]:
    """Ends every queued run at once, as a supervisor's workers would after a while."""
    over = threading.Event()

    def train() -> None:
        while not over.wait(0.02):
            for run in store.list(states=["queued"]):
                if store.claim(run.id, "w"):
                    made = row(run.config, 0.07 if run.config.density >= GOOD_FROM else 0.3)
                    store.finish(run.id, "w", 100, "max_steps", {}, made["result"])

    thread = threading.Thread(target=train)
    thread.start()
    yield
    over.set()
    thread.join()


def over(job: Job) -> Job:
    assert job.wait(30)
    return job


def begun(store: Store) -> Job:
    """A bisection with its dense run in the queue."""
    job = find_smallest(store, SPEC, 0.05)
    deadline = time.monotonic() + 20
    while not store.list(states=["queued"]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return job


@pytest.mark.usefixtures("trainer")
def test_the_smallest_density_is_found_by_runs_that_the_supervisor_trains(store: Store):
    job = over(find_smallest(store, SPEC, 0.05))
    found = job.result()
    assert (found.density, found.dense) == (GOOD_FROM, 0.07)
    before = len(store.list())
    assert find_smallest(store, SPEC, 0.05) is job
    assert BISECTIONS.find(key(store, SPEC, 0.06)) is None
    assert over(find_smallest(store, SPEC, 0.06)).result().density == GOOD_FROM
    assert len(store.list()) == before  # another tolerance needs the same runs


def test_stop_takes_back_what_is_queued(store: Store):
    job = begun(store)
    job.cancel()
    assert over(job).state == "cancelled"
    assert store.list(states=["queued"]) == []
    again = find_smallest(store, SPEC, 0.05)
    assert again is not job
    again.cancel()
    over(again)


def test_dense_runs_that_failed_are_the_problem(store: Store):
    job = begun(store)
    store.fail(store.list(states=["queued"])[0].id, "no disk.")
    assert "failed" in over(job).problem
    assert BISECTIONS.find(key(store, SPEC, 0.05)) is job


def test_a_search_of_the_same_task_and_parameters_is_drawn(store: Store):
    for place, parameters in enumerate(({}, {"max_steps": 500})):
        densities = {"layer_densities": f"fc1=0.{place + 3},fc2=0.1"}
        update = {"densities": (0.2,), "parameters": parameters | densities}
        spec = SPEC.model_copy(update=update)
        with store.engine.begin() as connection:
            connection.execute(insert(runs), [row(config, 0.08) for config in spec.configs()])
        stored.begin(store, spec, "search")
    (([point], is_uniform),) = layer_search.searched(SPEC)
    assert not is_uniform
    assert (point.density, point.test, point.nonzeros) == (0.2, 0.08, 51)
    assert layer_search.searched(SPEC.model_copy(update={"task": "spirals"})) == []


def test_the_command_that_begins_a_search_has_the_sweeps_parameters():
    spec = SPEC.model_copy(update={"seeds": (0, 1), "parameters": {"size": "paper", "max_steps": 500}})
    assert layer_search.command(spec) == (
        "python -m sparsecore search sinc --seeds 0,1 --size paper --max-steps 500 --trials 30"
    )
