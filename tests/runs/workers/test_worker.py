"""The worker: what it writes of a run, what it obeys, and that a run survives its worker."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.sinc import Sinc
from sparsecore.engine.training import loop
from sparsecore.engine.training.blobs import decode, decode_meta
from sparsecore.engine.training.events import Checkpoint, Ended, Event, Frame, Ready
from sparsecore.engine.training.loop import train
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers import assignments
from sparsecore.runs.workers import worker as worker_module
from sparsecore.runs.workers.worker import Worker

on_either = pytest.mark.usefixtures("either_database")

KINDS = ("scene", "record", "frame", "change")
PATIENCE_SECONDS = 20.0


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


class Crash(BaseException):
    """The process is gone: nobody is told."""


def config(**parameters: Any) -> RunConfig:
    return RunConfig.parse({"max_steps": 60, "theta": 0.0} | parameters)


def begun(store: Store, name: str = "w", **parameters: Any) -> str:
    return store.create(config(**parameters), worker=name)


def work(store: Store, run: str, name: str = "w", **options: Any) -> Ended | None:
    return Worker(store, store.get(run), name, **options).work()


def saved(store: Store, run: str) -> tuple[int, dict[str, np.ndarray]]:
    step, blob = store.checkpoint(run)
    return step, decode(blob)[0]


def straight(given: RunConfig) -> dict[str, np.ndarray]:
    """The final state of the same run, trained without a store."""
    return [event for event in train(given) if isinstance(event, Checkpoint)][-1].arrays


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert np.array_equal(one[name], other[name]), name


def soon(condition: Callable[[], Any]) -> Any:
    """What the condition gives, as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
    return found


@contextmanager
def working(store: Store, run: str, name: str = "w") -> Iterator[threading.Event]:
    """A worker in a thread; gives the event that lets its run go, and waits for its end."""
    gone = threading.Event()
    thread = threading.Thread(target=work, args=(store, run, name), kwargs={"gone": gone})
    thread.start()
    try:
        yield gone
        thread.join(PATIENCE_SECONDS)
    finally:
        gone.set()
        thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


@contextmanager
def paused_before_the_first_step(store: Store, **parameters: Any) -> Iterator[str]:
    """A run that a worker in a thread holds paused at step 0."""
    run = begun(store, **parameters)
    store.command(run, "pause")
    with working(store, run):
        soon(lambda: store.checkpoint(run))
        yield run


def crash_at(step: int) -> Callable[[Event], None]:
    """A listener that ends the process before the step after so many."""

    def listen(event: Event) -> None:
        if isinstance(event, Ready) and event.step == step:
            raise Crash

    return listen


# -- what it writes ---------------------------------------------------------------------------------------


@pytest.mark.dialect
@on_either
def test_a_run_is_written_from_its_scene_to_its_ending(store: Store):
    run = begun(store, density=0.4)
    ended = work(store, run)
    rows = store.entries(run, KINDS)
    assert rows[0].kind == "scene"
    assert [row.step for row in rows if row.kind == "record"] == [0, 20, 40, 60]
    frames = [row for row in rows if row.kind == "frame"]
    assert (frames[0].step, frames[-1].step) == (0, 60)
    done = store.get(run)
    assert (done.state, done.reason, done.step, done.worker) == ("ended", "max_steps", 60, None)
    assert done.result == ended.result
    assert done.result["nonzeros"] == 102


def test_blobs_tell_what_they_are(store: Store):
    run = begun(store)
    work(store, run)
    (scene,) = store.entries(run, ["scene"])
    arrays, meta = decode(scene.payload)
    assert (meta["type"], meta["kind"]) == ("scene", "curve")
    assert arrays["train.x"].shape == (300,)
    arrays, meta = decode(store.frame(run).payload)
    assert (meta["type"], meta["step"], meta["nonzeros"]) == ("frame", 60, 102)
    assert arrays["count.1"].sum() == 60 * 102


def test_the_weights_are_those_of_train_bit_for_bit(store: Store):
    for parameters in ({"task": "sinc"}, {"task": "spirals", "method": "global"}):
        run = begun(store, **parameters)
        work(store, run)
        step, arrays = saved(store, run)
        assert step == 60
        assert_same(arrays, straight(config(**parameters)))


def test_a_listener_hears_every_event(store: Store):
    heard: list[Event] = []
    work(store, begun(store, max_steps=3), on_event=heard.append)
    assert [event.step for event in heard if isinstance(event, Ready)] == [0, 1, 2]
    assert isinstance(heard[-1], Ended)


def test_a_run_that_cannot_be_trained_says_why(store: Store):
    run = begun(store, task="vulnerabilities", data="0123456789abcdef")
    with pytest.raises(ValueError, match="0123456789abcdef"):
        work(store, run)
    failed = store.get(run)
    assert failed.state == "failed"
    assert "0123456789abcdef" in failed.error


def test_an_unforeseen_error_is_named_with_its_kind(store: Store, monkeypatch: pytest.MonkeyPatch):
    def stumble(self: Sinc, step: int) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(Sinc, "loss", stumble)
    run = begun(store)
    with pytest.raises(ZeroDivisionError):
        work(store, run)
    assert store.get(run).error == "ZeroDivisionError: division by zero"


@on_either
def test_it_beats_while_one_step_takes_long(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(assignments, "HEARTBEAT_SECONDS", 0.02)
    beats: list[float] = []
    right = Sinc.loss

    def slow(self: Sinc, step: int) -> torch.Tensor:
        for _ in range(2):
            time.sleep(0.2)
            beats.append(store.get(run).heartbeat)
        return right(self, step)

    monkeypatch.setattr(Sinc, "loss", slow)
    run = begun(store, max_steps=1)
    work(store, run)
    assert beats[1] > beats[0]


# -- what it obeys ----------------------------------------------------------------------------------------


def test_a_pause_given_before_the_start_holds_before_the_first_step(store: Store):
    with paused_before_the_first_step(store) as run:
        assert store.get(run).state == "paused"
        step, arrays = saved(store, run)
        assert step == 0
        assert not arrays["sparsifier.counts.1"].any()
        time.sleep(0.2)
        assert store.checkpoint(run)[0] == 0
        store.command(run, "stop")
    assert (store.get(run).state, store.get(run).reason, store.get(run).step) == ("ended", "stopped", 0)


@on_either
def test_each_step_command_takes_exactly_one_step_and_shows_it(store: Store):
    with paused_before_the_first_step(store) as run:
        for step in (1, 2, 3):
            store.command(run, "step")
            soon(lambda step=step: store.checkpoint(run)[0] == step)
            soon(lambda step=step: store.frame(run).step == step)  # written after the checkpoint
        time.sleep(0.2)
        assert store.checkpoint(run)[0] == 3
        assert store.get(run).state == "paused"
        store.command(run, "stop")
    assert saved(store, run)[1]["sparsifier.counts.0"].max() == 3


def test_three_step_commands_at_once_take_three_steps(store: Store):
    with paused_before_the_first_step(store) as run:
        for _ in range(3):
            store.command(run, "step")
        soon(lambda: store.checkpoint(run)[0] == 3)
        time.sleep(0.2)
        assert store.checkpoint(run)[0] == 3
        store.command(run, "stop")


def test_a_step_command_to_a_run_that_is_not_paused_does_nothing(store: Store):
    run = begun(store)
    store.command(run, "step")
    assert work(store, run).step == 60


def test_a_paused_run_goes_on_to_the_same_weights(store: Store):
    with paused_before_the_first_step(store) as run:
        store.command(run, "step")
        soon(lambda: store.checkpoint(run)[0] == 1)
        store.resume(run)
        assert store.get(run).state == "queued"
        assert store.claim(run, "w")  # as the supervisor does when a core is free
    assert store.get(run).reason == "max_steps"
    assert_same(saved(store, run)[1], straight(config()))


@on_either
def test_a_new_density_holds_from_the_next_step_and_is_logged(store: Store):
    with paused_before_the_first_step(store) as run:
        for step, density in ((1, None), (2, 0.1)):
            if density:
                store.command(run, "change", {"density": density})
            store.command(run, "step")
            soon(lambda step=step: store.checkpoint(run)[0] == step)
        store.command(run, "stop")
    (change,) = store.entries(run, ["change"])
    assert (change.step, json.loads(change.payload)) == (1, {"density": 0.1})
    assert store.changes(run) == {"density": 0.1}
    frames = {row.step: decode_meta(row.payload) for row in store.entries(run, ["frame"])}
    assert [frames[step]["nonzeros"] for step in (0, 1, 2)] == [256, 102, 26]
    assert store.get(run).result["density_target"] == 0.1


def test_stop_ends_a_running_run(store: Store):
    run = begun(store, max_steps=10_000_000)
    with working(store, run):
        soon(lambda: store.get(run).step > 20)
        store.command(run, "stop")
    done = store.get(run)
    assert (done.state, done.reason) == ("ended", "stopped")
    assert done.result["steps"] == done.step == store.checkpoint(run)[0]


def test_pause_stops_a_running_run_where_it_is(store: Store):
    run = begun(store, max_steps=10_000_000)
    with working(store, run):
        soon(lambda: store.get(run).step > 20)
        store.command(run, "pause")
        soon(lambda: store.get(run).state == "paused")
        soon(lambda: store.checkpoint(run) and store.checkpoint(run)[0] == store.frame(run).step)
        at = store.checkpoint(run)[0]
        time.sleep(0.2)
        assert store.checkpoint(run)[0] == store.get(run).step == at
        store.command(run, "stop")
    assert store.get(run).step == at


# -- what survives it -------------------------------------------------------------------------------------


@pytest.mark.dialect
@on_either
def test_a_run_that_is_let_go_is_saved_and_another_worker_ends_it_the_same(store: Store):
    run = begun(store, max_steps=2_000)
    with working(store, run) as gone:
        soon(lambda: store.get(run).step > 20)
        gone.set()
    left = store.get(run)
    assert (left.state, left.worker, left.result) == ("queued", None, None)
    assert 20 < store.checkpoint(run)[0] < 2_000
    assert store.claim(run, "next")
    assert work(store, run, "next").step == 2_000
    assert_same(saved(store, run)[1], straight(config(max_steps=2_000)))


@on_either
def test_asked_to_release_its_run_it_saves_it_and_queues_it(store: Store):
    run = begun(store, max_steps=1_000_000)
    with working(store, run):
        soon(lambda: store.get(run).step > 0)
        store.command(run, "release")
        soon(lambda: store.get(run).state == "queued")
    left = store.get(run)
    assert (left.worker, left.step) == (None, store.checkpoint(run)[0])


def test_a_long_pause_lets_the_process_go(store: Store, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patched:
        patched.setattr(worker_module, "PAUSE_HOLD_SECONDS", 0.1)
        with paused_before_the_first_step(store) as run:
            soon(lambda: store.get(run).worker is None)
            assert store.get(run).state == "paused"
    # From here a pause holds its process long: on a busy machine 0.1 s passes before the first step is taken.
    store.command(run, "step")
    assert store.paused_with_commands() == [run]
    assert store.claim(run, "next", "paused")
    with working(store, run, "next"):
        soon(lambda: store.checkpoint(run)[0] == 1)
        store.command(run, "stop")
    assert store.get(run).step == 1


@pytest.mark.dialect
@on_either
def test_a_crash_loses_only_what_came_after_the_last_checkpoint(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.01)
    run = begun(store, max_steps=150)
    with pytest.raises(Crash):
        work(store, run, on_event=crash_at(117))
    assert store.get(run).state == "running"
    step, arrays = saved(store, run)
    assert 0 < step <= 117
    assert (arrays["sparsifier.counts.0"] == step).all()  # an exempt weight is kept after every step
    store.recover(run, "w", "it is gone.")
    assert store.claim(run, "next")
    assert work(store, run, "next").step == 150
    assert_same(saved(store, run)[1], straight(config(max_steps=150)))
    records = [row.step for row in store.entries(run, ["record"])]
    assert records == [0, 20, 40, 60, 80, 100, 120, 140, 150]
    assert len(store.entries(run, ["scene"])) == 1


def test_a_crash_before_the_first_checkpoint_begins_anew(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 600.0)
    run = begun(store)
    with pytest.raises(Crash):
        work(store, run, on_event=crash_at(30))
    assert store.checkpoint(run) is None
    store.recover(run, "w", "it is gone.")
    store.claim(run, "next")
    work(store, run, "next")
    assert_same(saved(store, run)[1], straight(config()))
    assert [row.step for row in store.entries(run, ["record"])] == [0, 20, 40, 60]
    assert len(store.entries(run, ["scene"])) == 1


def test_a_crash_between_the_last_checkpoint_and_the_ending_changes_neither(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    def crash(event: Event) -> None:
        if isinstance(event, Ended):
            raise Crash

    run = begun(store)
    with pytest.raises(Crash):
        work(store, run, on_event=crash)
    store.recover(run, "w", "it is gone.")
    store.claim(run, "next")
    ended = work(store, run, "next")
    assert (ended.step, ended.reason) == (60, "max_steps")
    assert_same(saved(store, run)[1], straight(config()))


@on_either
def test_whoever_lost_the_run_writes_no_more_and_does_not_end_it(store: Store):
    def taken(event: Event) -> None:
        if isinstance(event, Frame) and event.step == 0:
            store.recover(run, "w", "silent")
            store.claim(run, "new")

    run = begun(store)
    assert work(store, run, on_event=taken) is None
    assert (store.get(run).state, store.get(run).worker) == ("running", "new")
    assert store.entries(run, KINDS) == []


def test_a_paused_worker_notices_that_its_run_was_deleted(store: Store):
    with paused_before_the_first_step(store) as run:
        store.delete(run)
    assert store.get(run) is None
