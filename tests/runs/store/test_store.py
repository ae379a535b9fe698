"""The store: who trains a run, in which order, what is asked of it, and what survives a crash."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from sparsecore.engine.config import ConfigError, RunConfig
from sparsecore.runs.store import queue
from sparsecore.runs.store.errors import LostRun
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.run import ALPHABET
from sparsecore.runs.store.store import LOST_SECONDS, MAX_CRASHES, Store
from sparsecore.runs.store.tables import log, runs
from sparsecore.settings import default_home
from tests.runs.store.test_queue import queue_position

pytestmark = pytest.mark.usefixtures("either_database")


def running(store: Store, worker: str = "w") -> str:
    """A run that this worker trains."""
    return store.create(RunConfig(), worker=worker)


def state(store: Store, run_id: str) -> str:
    return store.get(run_id).state


# -- runs -------------------------------------------------------------------------------------------------


def test_a_new_run_is_queued_with_its_config(store: Store):
    config = RunConfig(task="spirals", density=0.2, seed=9)
    run = store.get(store.create(config))
    assert (run.state, run.config, run.origin, run.step, run.worker) == ("queued", config, "page", 0, None)
    assert run.active
    assert len(run.id) == 8
    assert set(run.id) <= set(ALPHABET)


def test_an_unknown_run_is_none(store: Store):
    assert store.get("nothere") is None
    assert store.checkpoint("nothere") is None
    assert queue_position(store, "nothere") is None


@pytest.mark.dialect
def test_runs_are_listed_newest_first(store: Store):
    ids = [store.create(RunConfig(seed=seed), origin="cli" if seed else "page") for seed in range(4)]
    assert [run.id for run in store.list()] == ids[::-1]
    assert [run.id for run in store.list(limit=2)] == [ids[3], ids[2]]
    assert [run.id for run in store.list(origin="page")] == [ids[0]]
    store.claim(ids[1], "w")
    assert [run.id for run in store.list(states=["running"])] == [ids[1]]


def test_queued_runs_have_places_in_the_order_they_came(store: Store):
    first, second, third = (store.create(RunConfig()) for _ in range(3))
    assert [queue_position(store, run) for run in (first, second, third)] == [1, 2, 3]
    store.claim(first, "w")
    assert [queue_position(store, run) for run in (first, second, third)] == [None, 1, 2]


@pytest.mark.dialect
def test_deleting_a_run_removes_all_it_logged(store: Store):
    run = running(store)
    store.write(run, "w", 5, [LogEntry("frame", 5, b"x")], b"state")
    store.command(run, "pause")
    store.delete(run)
    assert store.get(run) is None
    assert store.entries(run, ["frame"]) == []
    assert store.checkpoint(run) is None
    assert store.take_commands(run) == []
    assert store.scalars(select(func.count()).where(log.c.run_id == run)) == [0]


@pytest.mark.dialect
def test_another_process_opens_the_same_runs(store: Store, home: Path):
    run = store.create(RunConfig(density=0.3))
    other = Store(home)
    assert other.get(run).config.density == 0.3
    other.close()


def test_the_home_is_that_of_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch):
    assert default_home() == home
    monkeypatch.delenv("SPARSECORE_HOME")
    assert default_home().name == "sparsecore"


# -- who trains it ----------------------------------------------------------------------------------------


def test_a_run_is_claimed_once(store: Store):
    run = store.create(RunConfig())
    assert store.claim(run, "one")
    assert not store.claim(run, "two")
    assert (store.get(run).worker, store.get(run).state) == ("one", "running")


@pytest.mark.dialect
def test_of_many_threads_exactly_one_claims_a_run(store: Store):
    ids = [store.create(RunConfig()) for _ in range(6)]
    gate = threading.Barrier(4)

    def grab(name: str) -> int:
        gate.wait()
        return sum(store.claim(run, name) for run in ids)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(grab, "abcd")) == 6
    assert {run.state for run in store.list()} == {"running"}


def test_an_ended_or_deleted_run_cannot_be_claimed(store: Store):
    run = running(store)
    store.finish(run, "w", 3, "stopped", {}, {})
    assert not store.claim(run, "x")
    assert not store.claim("nothere", "x")


@pytest.mark.dialect
def test_whoever_lost_a_run_can_write_nothing_to_it(store: Store):
    run = running(store, "old")
    store.recover(run, "old", "gone")
    store.claim(run, "new")
    for write in (
        lambda: store.heartbeat(run, "old"),
        lambda: store.set_state(run, "old", "paused"),
        lambda: store.release(run, "old"),
        lambda: store.rewind(run, "old", 0),
        lambda: store.write(run, "old", 9, [LogEntry("frame", 9, b"x")], b"state"),
        lambda: store.finish(run, "old", 9, "converged", {}, {}),
    ):
        with pytest.raises(LostRun, match=f"run {run} is no longer trained by old"):
            write()
    assert store.entries(run, ["frame"]) == []
    assert store.checkpoint(run) is None
    assert (state(store, run), store.get(run).worker, store.get(run).step) == ("running", "new", 0)


def test_writing_to_a_deleted_run_is_losing_it(store: Store):
    run = running(store)
    store.delete(run)
    with pytest.raises(LostRun):
        store.write(run, "w", 1, [LogEntry("frame", 1, b"x")])


@pytest.mark.dialect
def test_a_released_run_is_queued_again_in_its_old_place(store: Store):
    run = running(store)
    later = store.create(RunConfig())
    store.release(run, "w")
    assert (state(store, run), store.get(run).worker) == ("queued", None)
    assert [queue_position(store, run), queue_position(store, later)] == [1, 2]


def test_a_released_paused_run_stays_paused(store: Store):
    run = running(store)
    store.set_state(run, "w", "paused")
    store.release(run, "w")
    assert (state(store, run), store.get(run).worker) == ("paused", None)


def let_go(store: Store, run: str) -> None:
    store.release(run, "w")


def dead(store: Store, run: str) -> None:
    store.recover(run, "w", "its process ended.")


@pytest.mark.parametrize("gone", [let_go, dead])
def test_a_run_that_was_asked_to_pause_is_paused_when_its_worker_goes_before_it_heard(
    store: Store, gone: Callable[[Store, str], None]
):
    run, other = running(store), running(store)
    store.command(run, "change", {"density": 0.2})
    store.command(run, "pause")
    gone(store, run)
    assert (state(store, run), store.get(run).worker) == ("paused", None)
    assert store.take_commands(run) == [("change", {"density": 0.2})]
    store.resume(run)
    assert state(store, run) == "queued"
    gone(store, other)
    assert state(store, other) == "queued"


def test_a_run_that_is_to_pause_as_soon_as_it_begins_still_waits_when_its_cluster_is_gone(store: Store):
    run = store.create(RunConfig(), origin=queue.SWEEP)
    with store.engine.begin() as connection:
        queue.reserve(connection, [run], "ray:cluster", 0.0)
    store.command(run, "pause")
    store.recover(run, "ray:cluster", "it is gone.")
    assert (state(store, run), store.get(run).worker) == ("queued", None)
    assert store.take_commands(run) == [("pause", {})]


@pytest.mark.dialect
def test_an_ending_is_kept(store: Store):
    run = running(store)
    store.finish(run, "w", 7, "collapsed", {"layer": "fc3"}, {"steps": 7})
    ended = store.get(run)
    assert (ended.state, ended.reason, ended.step) == ("ended", "collapsed", 7)
    assert (ended.detail, ended.result) == ({"layer": "fc3"}, {"steps": 7})
    assert ended.ended >= ended.started >= ended.created
    assert not ended.active


def test_a_run_that_cannot_go_on_keeps_the_sentence_why(store: Store):
    run = running(store)
    store.fail(run, "the device is gone.")
    assert (state(store, run), store.get(run).error) == ("failed", "the device is gone.")
    ended = running(store)
    store.finish(ended, "w", 1, "stopped", {}, {})
    store.fail(ended, "too late.")
    assert state(store, ended) == "ended"


# -- crashes ----------------------------------------------------------------------------------------------


@pytest.mark.dialect
def test_the_run_of_a_dead_worker_is_queued_again(store: Store):
    run = running(store)
    store.recover(run, "w", "its process ended.")
    assert (state(store, run), store.get(run).worker) == ("queued", None)


def test_a_paused_run_of_a_dead_worker_stays_paused(store: Store):
    run = running(store)
    store.set_state(run, "w", "paused")
    store.recover(run, "w", "its process ended.")
    assert (state(store, run), store.get(run).worker) == ("paused", None)


def test_a_run_whose_worker_dies_again_and_again_is_given_up(store: Store):
    run = store.create(RunConfig())
    for _ in range(MAX_CRASHES):
        assert state(store, run) == "queued"
        store.claim(run, "w")
        store.recover(run, "w", "its process ended.")
    assert (state(store, run), store.get(run).error) == ("failed", "its process ended.")


def test_a_checkpoint_between_crashes_forgives_them(store: Store):
    run = store.create(RunConfig())
    for _ in range(2 * MAX_CRASHES):
        store.claim(run, "w")
        store.write(run, "w", 1, [], b"state")
        store.recover(run, "w", "its process ended.")
    assert state(store, run) == "queued"


def test_recovering_from_somebody_elses_worker_does_nothing(store: Store):
    run = running(store, "alive")
    store.recover(run, "dead", "its process ended.")
    assert (state(store, run), store.get(run).worker) == ("running", "alive")


@pytest.mark.dialect
def test_a_silent_worker_is_lost_and_a_beating_one_is_not(store: Store):
    silent, beating = running(store, "a"), running(store, "b")
    long_ago = time.time() - LOST_SECONDS - 1
    with store.engine.begin() as connection:
        connection.execute(update(runs).values(heartbeat=long_ago))
    store.heartbeat(beating, "b")
    assert [run.id for run in store.lost()] == [silent]
    store.recover(silent, "a", "gone")
    assert store.lost() == []


@pytest.mark.dialect
def test_rewinding_drops_what_was_logged_past_the_checkpoint(store: Store):
    run = running(store)
    store.write(run, "w", 10, [LogEntry("scene", 0, b"s"), LogEntry("record", 10, b"{}")], b"state")
    store.write(run, "w", 20, [LogEntry("record", 20, b"{}"), LogEntry("frame", 20, b"x")])
    store.rewind(run, "w", 10)
    assert [(row.kind, row.step) for row in store.entries(run, ["scene", "record", "frame"])] == [
        ("scene", 0),
        ("record", 10),
    ]
    assert (store.get(run).step, store.checkpoint(run)) == (10, (10, b"state"))


# -- the log ----------------------------------------------------------------------------------------------


def test_entries_come_in_order_and_past_a_row(store: Store):
    run = running(store)
    store.write(
        run, "w", 2, [LogEntry("record", 1, b"a"), LogEntry("frame", 1, b"b"), LogEntry("record", 2, b"c")]
    )
    rows = store.entries(run, ["record"])
    assert [(row.kind, row.step, row.payload) for row in rows] == [("record", 1, b"a"), ("record", 2, b"c")]
    assert [row.payload for row in store.entries(run, ["record", "frame"], rows[0].id)] == [b"b", b"c"]


@pytest.mark.dialect
def test_a_write_is_all_or_nothing(store: Store):
    run = running(store)
    with pytest.raises(TypeError):
        store.write(run, "w", 5, [LogEntry("frame", 5, b"x"), LogEntry("frame", 6, None)], b"state")
    assert store.entries(run, ["frame"]) == []
    assert (store.get(run).step, store.checkpoint(run)) == (0, None)


@pytest.mark.dialect
def test_the_last_checkpoint_replaces_the_one_before(store: Store):
    run = running(store)
    store.write(run, "w", 1, [], b"one")
    store.write(run, "w", 2, [], b"two")
    store.write(run, "w", 3, [])
    assert store.checkpoint(run) == (2, b"two")
    assert store.get(run).step == 3


@pytest.mark.dialect
def test_the_newest_frame_is_given_if_it_is_newer(store: Store):
    run, other = running(store), running(store)
    assert store.frame(run) is None
    store.write(run, "w", 2, [LogEntry("frame", 1, b"one"), LogEntry("frame", 2, b"two")])
    store.write(other, "w", 3, [LogEntry("frame", 3, b"other")])
    (first, _), (second, step) = store.frames(run)
    assert (step, store.frame(run).payload, store.frame(run).id) == (2, b"two", second)
    assert store.frame(run, first).payload == b"one"
    assert store.frame(run, newer_than=first).payload == b"two"
    assert store.frame(run, newer_than=second) is None


def test_a_frame_of_another_run_is_not_given(store: Store):
    run, other = running(store), running(store)
    store.write(other, "w", 3, [LogEntry("frame", 3, b"other")])
    ((theirs, _),) = store.frames(other)
    assert store.frame(run, theirs) is None


@pytest.mark.dialect
def test_changes_say_what_holds_now(store: Store):
    run = running(store)
    entries = [b'{"density":0.1,"method":"global"}', b'{"density":0.3}']
    store.write(run, "w", 2, [LogEntry("change", step, payload) for step, payload in enumerate(entries)])
    assert store.changes(run) == {"density": 0.3, "method": "global"}


@pytest.mark.dialect
def test_the_size_of_a_log_is_known(store: Store):
    run = running(store)
    size = select(func.coalesce(func.sum(log.c.size), 0)).where(log.c.run_id == run)
    assert store.scalars(size) == [0]
    store.write(run, "w", 1, [LogEntry("frame", 1, b"12345"), LogEntry("record", 1, b"{}")])
    assert store.scalars(size) == [7]


# -- commands ---------------------------------------------------------------------------------------------


@pytest.mark.dialect
def test_commands_are_taken_once_in_order(store: Store):
    run = running(store)
    store.command(run, "pause")
    store.command(run, "change", {"density": 0.2})
    store.command(run, "step")
    assert store.take_commands(run) == [("pause", {}), ("change", {"density": 0.2}), ("step", {})]
    assert store.take_commands(run) == []


def test_a_change_that_does_not_fit_is_refused_and_not_asked(store: Store):
    run = running(store)
    with pytest.raises(ConfigError, match="density must be greater than 0 and at most 1"):
        store.command(run, "change", {"density": 1.5})
    assert store.take_commands(run) == []


def test_stopping_a_run_that_never_began_ends_it_at_once(store: Store):
    run = store.create(RunConfig())
    store.command(run, "stop")
    assert (state(store, run), store.get(run).reason) == ("ended", "stopped")
    assert store.take_commands(run) == []


def test_stopping_a_run_that_waits_for_its_turn_again_is_left_to_its_worker(store: Store):
    run = running(store)
    store.release(run, "w")
    store.command(run, "stop")
    assert state(store, run) == "queued"
    assert store.take_commands(run) == [("stop", {})]


def test_a_resumed_run_waits_for_its_turn(store: Store):
    run = running(store)
    store.set_state(run, "w", "paused")
    store.resume(run)
    assert (state(store, run), queue_position(store, run)) == ("queued", 1)


def test_a_resumed_run_of_the_command_line_goes_on_at_once(store: Store):
    run = running(store, "cli:77")
    store.set_state(run, "cli:77", "paused")
    store.resume(run)
    assert state(store, run) == "running"


def test_resuming_what_is_not_paused_does_nothing(store: Store):
    run = running(store)
    store.resume(run)
    assert state(store, run) == "running"


def test_a_paused_run_without_a_worker_that_is_asked_something_is_found(store: Store):
    held, alone, quiet = (running(store) for _ in range(3))
    for run in (held, alone, quiet):
        store.set_state(run, "w", "paused")
    for run in (alone, quiet):
        store.release(run, "w")
    for run in (held, alone):
        store.command(run, "step")
    assert store.paused_with_commands() == [alone]
    assert not store.claim(held, "x", "paused")
    assert store.claim(alone, "x", "paused")
    assert state(store, alone) == "paused"


# -- settings ---------------------------------------------------------------------------------------------


def test_a_setting_is_made_once_for_all_processes(store: Store, home: Path):
    other = Store(home)
    assert store.setting("secret", lambda: "first") == "first"
    assert other.setting("secret", lambda: "second") == "first"
    other.set_setting("secret", ["third"])
    assert store.setting("secret", lambda: "fourth") == ["third"]
    other.close()


@pytest.mark.dialect
def test_threads_that_ask_for_a_setting_at_once_get_the_same(store: Store):
    gate = threading.Barrier(4)

    def ask(name: str) -> str:
        gate.wait()
        return store.setting("secret", lambda: name)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, "abcd"))) == 1


@pytest.mark.dialect
def test_processes_that_open_a_new_home_together_all_find_its_tables(tmp_path):
    code = f"from pathlib import Path; from sparsecore import Store; Store(Path({str(tmp_path)!r})).list()"
    opened = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(6)]
    complaints = [process.communicate(timeout=60)[1].decode() for process in opened]
    assert [process.returncode for process in opened] == [0] * 6, complaints
