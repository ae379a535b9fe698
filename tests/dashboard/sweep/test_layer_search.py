"""A search that the page asks for: a process of its own, how far it is, its stop, and what it draws."""

import threading
import time
from collections.abc import Iterator

import pytest

from sparsecore.dashboard.jobs import Job
from sparsecore.dashboard.sweep.layer_search import SEARCHES, key, searched, start_search
from sparsecore.runs.store.people import HOST
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.words import words
from tests.dashboard.opening import opened

SPEC = SweepSpec(task="sinc", densities=(1.0, 0.4), seeds=(0,), parameters={"size": "demo", "max_steps": 50})
PATIENCE_SECONDS = 120.0  # the process imports torch and Optuna


@pytest.fixture(autouse=True)
def _no_search_is_left(served: Store) -> Iterator[None]:
    """No search outlives the test's store."""
    yield
    for job in SEARCHES._jobs.values():
        job.cancel(HOST)
        job.wait(PATIENCE_SECONDS)
    SEARCHES._jobs.clear()


def result(kept: int) -> dict:
    """Of a run that gets better with every weight it keeps."""
    layer = {"name": "fc2", "shape": [16, 16], "prunable": True, "nonzeros": kept, "density": kept / 256}
    metrics = {part: {"rmse": 0.1 + 1 / (1 + kept)} for part in ("train", "test")}
    counts = {"steps": 50, "seconds": 1.0, "nonzeros": kept, "budget": kept}
    return {"metrics": metrics, "layers": [layer]} | counts


@pytest.fixture
def trainer(store: Store) -> Iterator[None]:
    """Ends every queued run at once, as a supervisor's workers would after a while."""
    over = threading.Event()

    def train() -> None:
        while not over.wait(0.02):
            for run in store.list(states=["queued"]):
                if store.claim(run.id, "w"):
                    made = result(round(256 * run.config.density))
                    store.finish(run.id, "w", 50, "max_steps", {}, made)

    thread = threading.Thread(target=train)
    thread.start()
    yield
    over.set()
    thread.join()


def over(job: Job) -> Job:
    assert job.wait(PATIENCE_SECONDS)
    return job


def begun(store: Store) -> Job:
    """A search with its first runs in the queue."""
    job = start_search(store, SPEC, 5, HOST)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not store.list(states=["queued"]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return job


@pytest.mark.usefixtures("trainer")
def test_the_trials_are_runs_that_the_supervisor_trains(store: Store):
    job = over(start_search(store, SPEC, 5, HOST))
    assert (job.done, job.facts["failed"], job.problem, job.state) == (5, 0, "", "done")
    assert job.facts["front"] >= 4  # at the least the uniform ones, each better and larger than the next
    assert [len(own) for own, _ in searched(SPEC)] == [1] * 5
    before = len(store.list())
    assert start_search(store, SPEC.model_copy(update={"densities": (0.1,)}), 5, HOST) is job
    assert SEARCHES.find(key(store, SPEC, 6)) is None
    assert over(start_search(store, SPEC, 4, HOST)).done == 4
    assert len(store.list()) == before  # fewer choices are the first of the same


def test_stop_takes_back_what_is_queued_and_the_same_search_may_be_started_again(store: Store):
    job = begun(store)
    job.cancel(HOST)
    assert over(job).state == "cancelled"
    assert store.list() == []
    assert start_search(store, SPEC, 5, HOST) is not job


def test_what_makes_it_impossible_is_the_problem(store: Store):
    texts = SweepSpec(task="vulnerabilities", densities=(1.0,), parameters={"data": "0" * 16})
    job = over(start_search(store, texts, 2, HOST))
    assert "0" * 16 in job.problem


def test_a_process_that_dies_is_the_problem(store: Store):
    job = begun(store)
    job.process.kill()
    assert "ended with code -9" in over(job).problem


# -- on the page ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("trainer")
def test_a_press_begins_it_and_its_front_is_drawn_against_the_uniform_curve(store: Store):
    app = opened("sweep.py", sweep=stored.begin(store, SPEC))
    app.number_input(key="search_trials").set_value(4).run()
    app.button(key="search_start").click().run()
    assert not app.exception
    (job,) = SEARCHES._jobs.values()
    over(job)
    assert job.total == 4
    app.run()
    assert not app.exception
    assert any("All 4 trials done" in box.value for box in app.success)
    titles = [chart.proto.id.rpartition("-")[2] for chart in app.get("plotly_chart")]
    assert "sweep_pareto" in titles


def test_it_can_be_stopped_and_says_that_what_was_trained_is_kept(store: Store):
    app = opened("sweep.py", sweep=stored.begin(store, SPEC))
    app.button(key="search_start").click().run()
    app.button(key="search_stop").click().run()
    assert not app.exception
    (job,) = SEARCHES._jobs.values()
    over(job)
    assert any(box.value.startswith("Stopped after 0 of 30") for box in app.run().info)


def test_for_texts_the_parameters_of_texts_are_offered_and_asked_for():
    names = {"split", "watch", "class_weights", "label_smoothing", "dropout", "word_dropout"}
    app = opened("sweep.py", task="sinc")
    assert not names & {widget.key for widget in (*app.selectbox, *app.number_input)}
    app = opened("sweep.py", task="vulnerabilities")
    assert not app.exception
    assert names <= {widget.key for widget in (*app.selectbox, *app.number_input)}
    app.number_input(key="dropout").set_value(0.3)
    app.selectbox(key="watch").set_value("test").run()
    assert not app.exception
    told = " ".join(text.value for text in app.markdown)
    assert words("en")["parameter.dropout"] in told
    assert words("en")["parameter.watch"] in told
