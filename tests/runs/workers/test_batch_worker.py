"""The batch worker: each run logged as if it had trained alone, commands to one of them, what survives it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sparsecore.engine.batch import loop as batched_training
from sparsecore.engine.batch.grouping import NOTHING_TAKEN, batchable
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.sinc import Sinc
from sparsecore.engine.training.blobs import decode, decode_meta
from sparsecore.engine.training.events import Checkpoint, Ended, Event, Ready
from sparsecore.engine.training.loop import train
from sparsecore.runs.store import queue
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers import assignments
from sparsecore.runs.workers.batch_worker import BatchWorker, claim_batch, is_batchable_here
from sparsecore.runs.workers.worker import Worker

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 30.0
PROCESS_PATIENCE_SECONDS = 180.0  # it imports PyTorch and may compile, beside another test process
ENDLESS = 10_000_000


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


class Crash(BaseException):
    """The process is gone: nobody is told."""


def config(**parameters: Any) -> RunConfig:
    return RunConfig.parse({"max_steps": 60, "theta": 0.0, "device": "cpu"} | parameters)


def queued(store: Store, count: int = 3, **parameters: Any) -> list[str]:
    """Runs of a sweep that wait, one a seed."""
    return [store.create(config(**{"seed": seed} | parameters), "sweep") for seed in range(count)]


def together(store: Store, run_ids: list[str], name: str = "b", **options: Any) -> dict[str, Ended]:
    """The endings of these runs, which `name` claims and trains in batches of what fits together."""
    endings: dict[str, Ended] = {}
    fitting = [each for each in run_ids if is_batchable_here(store.get(each).config, anywhere=True)]
    for group in batchable([store.get(run_id).config for run_id in fitting]):
        ids = [fitting[place] for place in group]
        claimed = [store.get(run_id) for run_id in ids if store.claim(run_id, name)]
        endings |= BatchWorker(store, claimed, name, **options).work() if claimed else {}
    return endings


def soon(condition: Callable[[], Any]) -> Any:
    """What the condition gives, as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
    return found


@contextmanager
def training(store: Store, run_ids: list[str]) -> Iterator[threading.Event]:
    """A batch in a thread; gives the event that lets it go, and waits for its end."""
    gone = threading.Event()
    thread = threading.Thread(target=together, args=(store, run_ids), kwargs={"gone": gone})
    thread.start()
    try:
        yield gone
        thread.join(PATIENCE_SECONDS)
    finally:
        gone.set()
        thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def weights(store: Store, run_id: str) -> dict[str, np.ndarray]:
    arrays = decode(store.checkpoint(run_id)[1])[0]
    return {name: array for name, array in arrays.items() if name.startswith("model.")}


def straight(given: RunConfig) -> dict[str, np.ndarray]:
    """The final weights of the same run, trained alone and without a store."""
    arrays = [event for event in train(given) if isinstance(event, Checkpoint)][-1].arrays
    return {name: array for name, array in arrays.items() if name.startswith("model.")}


def assert_close(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=0, atol=1e-3, err_msg=name)


# -- what it writes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["sinc", "spirals"])
def test_the_runs_of_a_batch_look_as_single_ones_do(store: Store, task: str):
    grid = [("layerwise", 0.4), ("global", 0.05), ("dense", 1.0)]
    configs = [config(task=task, method=method, density=density) for method, density in grid]
    batch = [store.create(each, "sweep") for each in configs]
    endings = together(store, batch)
    for given, run_id in zip(configs, batch, strict=True):
        single = store.create(given, "sweep", worker="w")
        Worker(store, store.get(single), "w").work()
        mine, theirs = store.get(run_id), store.get(single)
        assert mine.result == endings[run_id].result
        for name in ("state", "worker", "step", "reason", "detail", "error"):
            assert getattr(mine, name) == getattr(theirs, name), name
        assert mine.started
        assert mine.ended
        assert mine.result.keys() == theirs.result.keys()
        assert mine.result["layers"] == theirs.result["layers"]
        for kind in ("scene", "record", "change"):
            rows = [store.entries(each, [kind]) for each in (run_id, single)]
            assert [row.step for row in rows[0]] == [row.step for row in rows[1]]
        blobs = [store.frame(each).payload for each in (run_id, single)]
        assert decode_meta(blobs[0]).keys() == decode_meta(blobs[1]).keys()
        assert decode(blobs[0])[0].keys() == decode(blobs[1])[0].keys()
        assert store.checkpoint(run_id)[0] == store.checkpoint(single)[0]
        assert_close(weights(store, run_id), weights(store, single))


def test_a_listener_hears_of_every_run(store: Store):
    heard: list[tuple[str, Event]] = []
    runs = queued(store, 2, max_steps=3)
    together(store, runs, on_event=lambda run_id, event: heard.append((run_id, event)))
    for run_id in runs:
        mine = [event for heard_of, event in heard if heard_of == run_id]
        assert [event.step for event in mine if isinstance(event, Ready)] == [0, 1, 2]
        assert isinstance(mine[-1], Ended)


def test_what_is_wrong_with_one_is_not_said_of_the_others(store: Store, monkeypatch: pytest.MonkeyPatch):
    def stumble(outputs: torch.Tensor, targets: torch.Tensor) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(Sinc, "criterion", staticmethod(stumble))
    runs = queued(store, 2)
    with pytest.raises(ZeroDivisionError):
        together(store, runs)
    assert {(store.get(run_id).state, store.get(run_id).worker) for run_id in runs} == {("running", "b")}
    store.recover(runs[0], "b", "its worker is gone.")
    with pytest.raises(ZeroDivisionError):
        together(store, runs[:1])
    assert store.get(runs[0]).error == "ZeroDivisionError: division by zero"


def test_all_beat_while_one_step_takes_long(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(assignments, "HEARTBEAT_SECONDS", 0.02)
    runs, beats = queued(store, 2, max_steps=2), []

    def slow(run_id: str, event: Event) -> None:
        if isinstance(event, Ready) and event.step == 1:
            for _ in range(2):
                time.sleep(0.2)
                beats.append([store.get(each).heartbeat for each in runs])

    together(store, runs, on_event=slow)
    assert all(later > earlier for earlier, later in zip(beats[0], beats[1], strict=True))


# -- whom it takes ----------------------------------------------------------------------------------------


def test_without_a_gpu_it_takes_nothing_unless_told_to(store: Store):
    runs = queued(store)
    assert claim_batch(store, "b") == []
    assert {store.get(run_id).state for run_id in runs} == {"queued"}
    assert is_batchable_here(config(device="cuda"))
    assert is_batchable_here(config(), anywhere=True)
    assert not is_batchable_here(config(device="cuda", mode="latent"))


def test_it_takes_the_first_that_waits_and_what_fits_beside_it(store: Store):
    page = store.create(config(seed=9), "page")
    spiral = queued(store, 1, task="spirals")
    latent = queued(store, 1, mode="latent")
    sinc = queued(store, 3)
    more = queued(store, 1, task="spirals", seed=5)
    assert [run.id for run in claim_batch(store, "b", anywhere=True)] == spiral + more
    assert [run.id for run in claim_batch(store, "c", 2, anywhere=True)] == sinc[:2]
    assert {store.get(run_id).state for run_id in (page, *latent, sinc[2])} == {"queued"}
    assert {store.get(run_id).worker for run_id in spiral + more} == {"b"}


def test_it_leaves_what_waits_for_somebody_or_has_lost_its_worker(store: Store):
    runs = queued(store, 4)
    with store.engine.begin() as connection:
        queue.reserve(connection, runs[:1], "ray:cluster", time.time())
    assert store.claim(runs[1], "w")
    store.set_state(runs[1], "w", "paused")
    store.resume(runs[1])
    assert store.claim(runs[2], "w")
    store.recover(runs[2], "w", "it is gone.")
    assert {store.get(run_id).state for run_id in runs} == {"queued"}
    assert [run.id for run in claim_batch(store, "b", anywhere=True)] == runs[3:]


def test_a_run_that_another_claimed_first_is_left_to_it(store: Store):
    runs = queued(store)
    assert store.claim(runs[1], "other")
    assert together(store, runs).keys() == {runs[0], runs[2]}
    assert (store.get(runs[1]).state, store.get(runs[1]).worker) == ("running", "other")


def test_unlike_runs_are_trained_in_a_batch_each(store: Store):
    runs = queued(store, 2) + queued(store, 2, task="spirals") + queued(store, 1, mode="latent")
    assert together(store, runs).keys() == set(runs[:4])
    assert [store.get(run_id).state for run_id in runs] == ["ended"] * 4 + ["queued"]


# -- what it obeys ----------------------------------------------------------------------------------------


def test_stop_ends_one_and_the_others_go_on(store: Store):
    runs = queued(store, max_steps=ENDLESS)
    with training(store, runs):
        soon(lambda: all(store.get(run_id).step > 20 for run_id in runs))
        store.command(runs[1], "stop")
        soon(lambda: store.get(runs[1]).state == "ended")
        at = store.get(runs[0]).step
        soon(lambda: store.get(runs[0]).step > at)
        for run_id in (runs[0], runs[2]):
            store.command(run_id, "stop")
    for run_id in runs:
        done = store.get(run_id)
        assert (done.state, done.reason) == ("ended", "stopped")
        assert done.result["steps"] == done.step == store.checkpoint(run_id)[0]


def test_stop_before_the_first_step_keeps_the_initial_weights(store: Store):
    runs = queued(store, 2)
    assert store.claim(runs[0], "b")
    store.command(runs[0], "stop")
    BatchWorker(store, [store.get(runs[0])], "b").work()
    assert (store.get(runs[0]).reason, store.get(runs[0]).step) == ("stopped", 0)


def test_a_paused_run_leaves_the_batch_saved_and_an_ordinary_worker_steps_it(store: Store):
    runs = queued(store, max_steps=ENDLESS)
    with training(store, runs):
        soon(lambda: all(store.get(run_id).step > 20 for run_id in runs))
        store.command(runs[2], "pause")
        soon(lambda: store.get(runs[2]).worker is None)
        at = store.checkpoint(runs[2])[0]
        assert (store.get(runs[2]).state, store.get(runs[2]).step) == ("paused", at)
        begun = store.get(runs[0]).step
        soon(lambda: store.get(runs[0]).step > begun)
        for run_id in runs[:2]:
            store.command(run_id, "stop")
    store.command(runs[2], "step")
    assert store.paused_with_commands() == [runs[2]]
    assert store.claim(runs[2], "w", "paused")
    gone = threading.Event()
    worker = threading.Thread(target=Worker(store, store.get(runs[2]), "w", gone).work)
    worker.start()
    soon(lambda: store.checkpoint(runs[2])[0] == at + 1)
    gone.set()
    worker.join(PATIENCE_SECONDS)
    assert store.get(runs[2]).state == "paused"


def test_a_step_that_was_asked_for_with_the_pause_is_not_forgotten(store: Store):
    runs = queued(store, 2)
    assert store.claim(runs[0], "b")
    store.command(runs[0], "pause")
    store.command(runs[0], "step")
    BatchWorker(store, [store.get(runs[0])], "b").work()
    assert (store.get(runs[0]).state, store.paused_with_commands()) == ("paused", [runs[0]])


def test_a_change_of_one_is_logged_and_holds(store: Store):
    runs = queued(store, 2, max_steps=ENDLESS)
    with training(store, runs):
        soon(lambda: all(store.get(run_id).step > 20 for run_id in runs))
        store.command(runs[0], "change", {"density": 0.1})
        (change,) = soon(lambda: store.entries(runs[0], ["change"]))
        soon(lambda: store.get(runs[0]).step > change.step + 1)  # it holds from the next step
        for run_id in runs:
            store.command(run_id, "stop")
    assert json.loads(change.payload) == {"density": 0.1}
    assert [store.get(run_id).result["nonzeros"] for run_id in runs] == [26, 102]


# -- what survives it -------------------------------------------------------------------------------------


def test_a_batch_that_is_let_go_is_saved_and_single_workers_end_it_the_same(store: Store):
    runs, gone = queued(store), threading.Event()

    def go(run_id: str, event: Event) -> None:
        if run_id == runs[-1] and isinstance(event, Ready) and event.step == 30:
            gone.set()

    together(store, runs, on_event=go, gone=gone)
    for run_id in runs:
        left = store.get(run_id)
        assert (left.state, left.worker, left.result) == ("queued", None, None)
        assert 0 < store.checkpoint(run_id)[0] < 60
        assert store.claim(run_id, "w")
        Worker(store, store.get(run_id), "w").work()
        assert_close(weights(store, run_id), straight(store.get(run_id).config))


def test_a_killed_batch_goes_on_from_the_checkpoints_of_its_runs(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(batched_training, "CHECKPOINT_SECONDS", 0.01)
    runs = queued(store, max_steps=150)

    def crash(run_id: str, event: Event) -> None:
        if run_id == runs[1] and isinstance(event, Ready) and event.step == 117:
            raise Crash

    with pytest.raises(Crash):
        together(store, runs, on_event=crash)
    assert all(0 < store.checkpoint(run_id)[0] <= 117 for run_id in runs)
    for run_id in runs:
        assert store.get(run_id).state == "running"
        store.recover(run_id, "b", "it is gone.")
    assert {end.step for end in together(store, runs, "next").values()} == {150}
    for run_id in runs:
        assert_close(weights(store, run_id), straight(store.get(run_id).config))
        records = [row.step for row in store.entries(run_id, ["record"])]
        assert records == sorted(set(records))  # what came after the checkpoint was dropped


def test_a_run_that_was_taken_over_or_deleted_is_let_alone(store: Store):
    runs = queued(store, max_steps=ENDLESS)
    with training(store, runs):
        soon(lambda: all(store.get(run_id).step > 20 for run_id in runs))
        store.recover(runs[0], "b", "it is gone.")
        assert store.claim(runs[0], "other")
        store.delete(runs[1])
        at = store.get(runs[2]).step
        soon(lambda: store.get(runs[2]).step > at)
        store.command(runs[2], "stop")
    assert (store.get(runs[0]).state, store.get(runs[0]).worker) == ("running", "other")
    assert store.get(runs[1]) is None
    assert store.get(runs[2]).reason == "stopped"


# -- the process ------------------------------------------------------------------------------------------


@contextmanager
def process(store: Store) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "sparsecore.runs.workers.batch_worker", str(store.home), "--anywhere"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, env=environment) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.slow
def test_the_process_empties_the_queue_and_ends(store: Store):
    runs = queued(store, 2) + queued(store, 1, task="spirals")
    with process(store) as child:
        assert child.wait(PROCESS_PATIENCE_SECONDS) == 0
    assert {store.get(run_id).reason for run_id in runs} == {"max_steps"}


@pytest.mark.slow
def test_a_process_that_finds_nothing_to_take_says_so(store: Store):
    run = queued(store, 1, mode="latent")
    with process(store) as child:
        assert child.wait(PROCESS_PATIENCE_SECONDS) == NOTHING_TAKEN
    assert store.get(run[0]).state == "queued"


@pytest.mark.slow
def test_after_a_batch_the_process_gives_way_to_a_run_that_a_person_asked_for(store: Store):
    sinc, spirals = queued(store, 2), queued(store, 2, task="spirals")
    page = store.create(config(), "page")
    with process(store) as child:
        assert child.wait(PROCESS_PATIENCE_SECONDS) == 0
    assert [store.get(run_id).state for run_id in sinc] == ["ended"] * 2
    assert [store.get(run_id).state for run_id in (*spirals, page)] == ["queued"] * 3


@pytest.mark.slow
def test_a_process_that_is_killed_loses_nothing_but_its_last_seconds(store: Store):
    runs = queued(store, 2, max_steps=ENDLESS)
    with process(store) as child:
        soon(lambda: all(store.checkpoint(run_id) for run_id in runs))
        child.send_signal(signal.SIGKILL)
        child.wait(PROCESS_PATIENCE_SECONDS)
    at = [store.checkpoint(run_id)[0] for run_id in runs]
    for run_id in runs:
        store.recover(run_id, store.get(run_id).worker, "it is gone.")
    with process(store) as child:
        soon(lambda: all(store.checkpoint(r)[0] > step for r, step in zip(runs, at, strict=True)))
        child.stdin.close()  # its server is gone
        assert child.wait(PROCESS_PATIENCE_SECONDS) == 0
    assert {store.get(run_id).state for run_id in runs} == {"queued"}
