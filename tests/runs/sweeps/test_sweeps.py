"""A sweep in the store: what it enqueues, what it never trains twice, and how it is stopped and resumed."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, insert, update

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import ConfigError, RunConfig
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.run import Run, new_row
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.runs.sweeps import estimates, stored
from sparsecore.runs.sweeps.spec import Cell, SweepSpec
from tests.runs.store.test_queue import queue_position

METRICS = {"train": {"rmse": 0.07}, "test": {"rmse": 0.08}}
MANY = 10_000


@pytest.fixture
def store(home: Path, either_database: str) -> Iterator[Store]:
    """An empty store, on each database."""
    opened = Store(home)
    yield opened
    opened.close()


def grid(**more: Any) -> SweepSpec:
    """Dense once, and two methods at one density, for two seeds: six cells."""
    return SweepSpec(**({"task": "sinc", "densities": (1.0, 0.4), "seeds": (0, 1)} | more))


def statuses(store: Store, spec: SweepSpec) -> list[str]:
    return [cell.status for cell in stored.cells_of(store, spec)]


def finish(store: Store, run: Run, reason: str = "max_steps", seconds: float = 2.0) -> None:
    """End a run as its worker would."""
    store.claim(run.id, "w")
    result = {"metrics": METRICS, "seconds": seconds}
    store.finish(run.id, "w", run.config.max_steps, reason, {}, result)


def end_of(store: Store, config: RunConfig, **how: Any) -> str:
    """A run of this config that somebody else has trained."""
    run_id = store.create(config)
    finish(store, store.get(run_id), **how)
    return run_id


# -- begun ------------------------------------------------------------------------------------------------


@pytest.mark.dialect
def test_a_new_sweep_enqueues_every_cell_once_and_dense_once_for_all_methods(store: Store):
    sweep = stored.get(store, stored.begin(store, grid(), origin="cli"))
    assert (sweep.spec, sweep.state, sweep.origin) == (grid(), "running", "cli")
    queued = store.list(states=["queued"])
    assert Counter(run.config.method for run in queued) == {"dense": 2, "global": 2, "layerwise": 2}
    assert {run.origin for run in queued} == {"sweep"}
    assert statuses(store, grid()) == ["queued"] * 6


def test_begun_again_it_is_the_same_sweep_and_enqueues_nothing(store: Store):
    first = stored.begin(store, grid())
    assert stored.begin(store, grid(methods=("layerwise", "global"), seeds=(1, 0))) == first
    assert len(store.list()) == 6
    assert [sweep.id for sweep in stored.recent(store)] == [first]


def test_sweeps_are_listed_newest_first_without_the_steps_of_a_search(store: Store):
    ids = [stored.begin(store, grid(seeds=(seed,))) for seed in range(3)]
    stored.begin(store, grid(seeds=(9,)), origin="search")
    assert [sweep.id for sweep in stored.recent(store, limit=2)] == [ids[2], ids[1]]


def test_what_others_have_trained_is_not_trained_again(store: Store):
    dense, collapsed, *_ = grid().configs()
    trained = end_of(store, dense)
    end_of(store, collapsed, reason="collapsed")
    stored.begin(store, grid())
    assert len(store.list(states=["queued"])) == 4
    assert stored.cells_of(store, grid())[0].run.id == trained
    assert statuses(store, grid())[:2] == ["done", "collapsed"]


@pytest.mark.parametrize("how", ["stopped", "failed"])
def test_what_was_stopped_or_failed_is_trained_again(store: Store, how: str):
    config = grid().configs()[0]
    run = store.create(config)
    if how == "failed":
        store.fail(run, "it broke.")
    else:
        store.command(run, "stop")
    stored.begin(store, grid())
    assert len(store.list(states=["queued"])) == 6


def test_a_run_whose_parameters_were_changed_while_it_trained_is_not_a_run_of_its_config(store: Store):
    config = grid().configs()[-1]
    run = store.create(config, worker="w")
    store.write(run, "w", 5, [LogEntry("change", 5, b'{"density":0.9}')])
    store.finish(run, "w", 9, "converged", {}, {"metrics": METRICS, "seconds": 1.0})
    assert statuses(store, grid())[-1] == "missing"


def test_of_several_runs_of_a_config_the_finished_one_counts(store: Store):
    config = grid().configs()[0]
    trained = end_of(store, config)
    store.create(config)
    store.command(store.create(config), "stop")
    assert stored.cells_of(store, grid())[0].run.id == trained


def test_what_does_not_fit_is_refused_and_writes_nothing(store: Store):
    with pytest.raises(ConfigError, match="density must be greater than 0"):
        stored.begin(store, grid(densities=(0.4, 2.0)))
    with pytest.raises(ConfigError, match="seed must be a parameter that is not part of the grid"):
        stored.begin(store, grid(parameters={"seed": 3}))
    assert store.list() == stored.recent(store) == []


@pytest.mark.dialect
def test_two_who_begin_overlapping_sweeps_at_once_enqueue_no_run_twice(store: Store):
    together = threading.Barrier(4)

    def begin(seeds: tuple[int, ...]) -> str:
        together.wait()
        return stored.begin(store, grid(seeds=seeds))

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(begin, [(0, 1), (0, 1), (1, 2), (2, 0)]))
    assert ids[0] == ids[1]
    digests = [run.config.digest() for run in store.list()]
    assert len(digests) == len(set(digests)) == 9


# -- stopped and resumed ----------------------------------------------------------------------------------


@pytest.mark.dialect
def test_stopping_takes_back_what_is_queued_and_pauses_what_trains(store: Store):
    sweep = stored.begin(store, grid())
    trains, released, done, *_ = reversed(store.list())
    store.claim(trains.id, "w")
    store.claim(released.id, "v")
    store.release(released.id, "v")
    finish(store, done)
    stored.stop(store, sweep)
    assert stored.get(store, sweep).state == "stopped"
    assert Counter(statuses(store, grid())) == {"missing": 3, "running": 1, "paused": 1, "done": 1}
    assert store.take_commands(trains.id) == [("pause", {})]


@pytest.mark.dialect
def test_resumed_it_goes_on_with_the_runs_it_had(store: Store):
    sweep = stored.begin(store, grid())
    trains, paused, *_ = reversed(store.list())
    store.claim(trains.id, "w")
    store.claim(paused.id, "v")
    store.set_state(paused.id, "v", "paused")
    store.release(paused.id, "v")
    stored.stop(store, sweep)
    stored.resume(store, sweep)
    assert stored.get(store, sweep).state == "running"
    assert store.take_commands(trains.id) == []
    assert (store.get(trains.id).state, store.get(paused.id).state) == ("running", "queued")
    assert Counter(statuses(store, grid())) == {"queued": 5, "running": 1}
    assert len(store.list()) == 6


def test_resumed_it_takes_back_a_pause_that_a_waiting_run_was_asked_for(store: Store):
    sweep = stored.begin(store, grid())
    run = store.list()[0].id
    store.command(run, "pause")
    stored.resume(store, sweep)
    assert store.take_commands(run) == []


def test_stopping_leaves_alone_what_another_sweep_or_a_person_asked_for(store: Store):
    persons = store.create(grid().configs()[0])
    first = stored.begin(store, grid())
    stored.begin(store, grid(seeds=(1, 2)))
    stored.stop(store, first)
    assert store.get(persons).state == "queued"
    assert statuses(store, grid(seeds=(1, 2))) == ["queued"] * 6
    assert statuses(store, grid(seeds=(0,))) == ["queued", "missing", "missing"]


def test_a_sweep_that_nobody_began_is_neither_stopped_nor_resumed(store: Store):
    stored.stop(store, "nothere")
    stored.resume(store, "nothere")
    assert stored.get(store, "nothere") is None
    assert store.list() == []


# -- the queue --------------------------------------------------------------------------------------------


def test_a_run_that_a_person_asks_for_goes_before_all_of_a_sweep(store: Store):
    stored.begin(store, grid())
    first = store.list()[-1].id
    mine = store.create(RunConfig(seed=9))
    assert (queue_position(store, mine), queue_position(store, first)) == (1, 2)


# -- how long ---------------------------------------------------------------------------------------------


def cell(
    density: float = 0.4, status: str = "queued", step: int = 0, seconds: float = 0.0, **parameters: object
) -> Cell:
    """A cell as a sweep of 100 steps may hold it."""
    config = RunConfig.parse({"density": density, "max_steps": 100} | parameters)
    row = dict.fromkeys(Run.__dataclass_fields__) | new_row(config, "sweep") | {"place": 1}
    row |= {"config": config, "step": step, "state": status}
    if status == "ended":
        row |= {"reason": "max_steps", "result": {"seconds": seconds, "metrics": METRICS}}
    if status == "running":
        row["started"] = time.time()
    return Cell(config, Run(**{name: row[name] for name in Run.__dataclass_fields__}))


def test_the_time_left_is_that_of_finished_cells_nearest_in_density():
    done = [cell(0.05, "ended", 30, seconds=1.0), cell(0.4, "ended", 100, seconds=9.0)]
    progress = estimates.progress([*done, cell(0.5), cell(0.06)], workers=1)
    assert (progress.total, progress.done, progress.running, progress.failed) == (4, 2, 0, 0)
    assert progress.seconds_left == pytest.approx(10.0 + 2 * estimates.STARTING_SECONDS)


def test_the_rest_of_a_sweep_is_estimated_by_earlier_runs_as_its_plan_is(store: Store):
    spec = SweepSpec(task="sinc", densities=(0.4, 0.1), seeds=(0, 1))
    sweep_cells = stored.cells_of(store, spec)
    like = sweep_cells[0].config
    one = estimates.FinishedRun(like.method, like.density, like.max_steps, 2_000, 500.0)
    plan = estimates.remaining(sweep_cells, 1, [one])
    assert estimates.progress(sweep_cells, 1, [one]).seconds_left == plan
    assert plan > estimates.progress(sweep_cells, 1).seconds_left


def test_a_run_of_few_steps_does_not_set_the_pace_of_the_others():
    collapsed = cell(0.05, "ended", 4, seconds=0.4, method="global", max_steps=50_000)
    waiting = cell(max_steps=50_000)
    usual = estimates.STARTING_SECONDS + 50_000 * tasks()["sinc"].sizes["demo"].seconds
    assert estimates.progress([collapsed, waiting]).seconds_left == pytest.approx(usual)
    whole = cell(0.4, "ended", 50_000, seconds=100.0, method="global", max_steps=50_000)
    known = estimates.STARTING_SECONDS + 100.0
    assert estimates.progress([collapsed, whole, waiting]).seconds_left == pytest.approx(known)


def test_few_steps_that_took_long_set_the_pace():
    slow = cell(0.4, "ended", 20, seconds=40.0, method="global")
    assert estimates.progress([slow, cell()]).seconds_left == pytest.approx(
        200.0 + estimates.STARTING_SECONDS
    )


def test_what_a_running_cell_has_done_is_not_left():
    cells = [cell(0.4, "ended", 100, seconds=10.0), cell(0.3, "running", step=75)]
    assert estimates.progress(cells).seconds_left == pytest.approx((10.0 + estimates.STARTING_SECONDS) / 4)


def test_workers_share_the_time_but_no_run_is_shared():
    one = estimates.progress([cell() for _ in range(4)], workers=1).seconds_left
    assert estimates.progress([cell() for _ in range(4)], workers=2).seconds_left == pytest.approx(one / 2)
    assert estimates.progress([cell() for _ in range(4)], workers=9).seconds_left == pytest.approx(one / 4)


@given(st.lists(st.sampled_from(["queued", "running", "ended"]), min_size=1), st.integers(1, 9))
def test_there_is_time_left_exactly_while_something_is_unfinished(states: list[str], workers: int):
    progress = estimates.progress([cell(status=state, step=50, seconds=1.0) for state in states], workers)
    assert (progress.seconds_left > 0) == (progress.done < progress.total)


def test_an_estimate_comes_from_finished_runs_of_the_store_and_spares_what_exists(store: Store):
    spec = grid(parameters={"max_steps": 100})
    guessed = stored.estimate(store, spec)
    pace = tasks()["sinc"].sizes["demo"].seconds
    assert guessed == pytest.approx(6 * (estimates.STARTING_SECONDS + 100 * pace))
    for config in grid(parameters={"max_steps": 100}, seeds=(7,)).configs():
        end_of(store, config, seconds=20.0)
    assert stored.estimate(store, spec) == pytest.approx(6 * (estimates.STARTING_SECONDS + 20.0))
    for config in spec.configs()[:3]:
        end_of(store, config, seconds=20.0)
    assert stored.estimate(store, spec, 3) == pytest.approx(estimates.STARTING_SECONDS + 20.0)


@pytest.mark.parametrize(
    ("task", "size"), [(card.name, size) for card in tasks().values() for size in card.sizes]
)
def test_every_task_and_size_has_an_estimate_before_any_run(store: Store, task: str, size: str):
    spec = SweepSpec(task=task, densities=(0.4,), parameters={"size": size})
    assert stored.estimate(store, spec) > 0


# -- many -------------------------------------------------------------------------------------------------


@pytest.fixture
def many(home: Path) -> Iterator[Store]:
    """A store, a file, of 10,000 finished runs, and among them those of `grid()`."""
    store = Store(home)
    template = new_row(RunConfig(), "page") | {"state": "ended", "reason": "max_steps", "step": 100}
    template["result"] = {"metrics": METRICS, "seconds": 2.0}
    rows = [template | {"id": f"run{place:05}", "digest": f"{place:016x}"} for place in range(MANY)]
    for row, config in zip(rows[:: MANY // 6], grid().configs(), strict=False):
        row |= {"config": config.model_dump(), "digest": config.digest()}
    with store.engine.begin() as connection:
        connection.execute(insert(runs), rows)
    yield store
    store.close()


class Statements(list):
    """The statements that a store's database is given, and how many runs were read from it."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.read = 0
        event.listen(store.engine, "before_cursor_execute", lambda *given: self.append(given[2]))
        of = Run.of.__func__

        def counted(cls: type, *given: Any) -> Run:
            self.read += 1
            return of(cls, *given)

        monkeypatch.setattr(Run, "of", classmethod(counted))


def test_a_sweeps_cells_are_found_by_an_index_and_each_finished_run_is_read_once(
    many: Store, monkeypatch: pytest.MonkeyPatch
):
    statements = Statements(many, monkeypatch)
    assert statuses(many, grid()) == ["done"] * 6
    assert (len(statements), statements.read) == (2, 6)  # which runs there are, then the runs themselves
    assert statuses(many, grid()) == ["done"] * 6
    assert (len(statements), statements.read) == (3, 6)
    with many.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statements[0]}", ("x",) * 8).all()
    assert any("USING INDEX ix_runs_digest" in row[-1] for row in plan)


def test_a_run_that_has_not_ended_is_read_again_and_again(store: Store):
    config = grid().configs()[0]
    run = store.create(config, worker="w")
    assert stored.cells_of(store, grid())[0].run.step == 0
    store.write(run, "w", 7, [])
    assert stored.cells_of(store, grid())[0].run.step == 7
    store.finish(run, "w", 9, "max_steps", {}, {"metrics": METRICS})
    assert (stored.cells_of(store, grid())[0].status, stored.cells_of(store, grid())[0].run.step) == (
        "done",
        9,
    )


def test_a_finished_run_that_is_deleted_is_no_cell_any_more(store: Store):
    config = grid().configs()[0]
    run = store.create(config, worker="w")
    store.finish(run, "w", 9, "max_steps", {}, {"metrics": METRICS})
    assert statuses(store, grid())[0] == "done"
    catalogue.remove(store, run)
    assert statuses(store, grid())[0] == "missing"
    catalogue.restore(store, run)
    assert statuses(store, grid())[0] == "done"


def test_of_more_finished_runs_than_are_remembered_none_is_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stored, "MAX_CACHED", 2)
    monkeypatch.setattr(stored, "QUERY_VALUES", 4)
    for config in grid().configs():
        store.finish(store.create(config, worker="w"), "w", 9, "max_steps", {}, {"metrics": METRICS})
    for _ in range(2):
        assert statuses(store, grid()) == ["done"] * 6


def test_the_list_of_runs_reads_no_more_than_it_shows(many: Store, monkeypatch: pytest.MonkeyPatch):
    statements = Statements(many, monkeypatch)
    assert len(many.list(limit=200)) == 200
    assert (len(statements), statements.read) == (1, 200)


def test_an_estimate_among_many_runs_is_two_queries(many: Store, monkeypatch: pytest.MonkeyPatch):
    statements = Statements(many, monkeypatch)
    assert stored.estimate(many, grid(seeds=(5,))) > 0
    assert (len(statements), statements.read) == (2, 0)


@pytest.mark.dialect
def test_a_sweep_of_more_cells_than_one_query_takes_is_read_in_parts(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stored, "QUERY_VALUES", 4)
    sweep = stored.begin(store, grid())
    assert statuses(store, grid()) == ["queued"] * 6
    with store.engine.begin() as connection:
        connection.execute(update(runs).values(started=1.0))
    stored.stop(store, sweep)
    assert statuses(store, grid()) == ["paused"] * 6
