"""The supervisor, with real worker processes: runs are trained in order and survive kills and stops."""

import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import decode
from sparsecore.engine.training.events import Checkpoint
from sparsecore.engine.training.loop import train
from sparsecore.runs.store import database
from sparsecore.runs.store import store as store_module
from sparsecore.runs.store.run import LESSON
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.runs.workers import lost
from sparsecore.runs.workers import supervisor as supervisor_module
from sparsecore.runs.workers.lost import LOCKS, stuck_writer, writer_pid
from sparsecore.runs.workers.supervisor import Supervisor
from tests.runs.store.test_queue import queue_position

PATIENCE_SECONDS = 120.0  # every process imports torch, on a machine that may be busy


def soon(condition: Callable[[], Any]) -> Any:
    """What the condition gives, as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return found


@contextmanager
def supervising(store: Store, cores: int, spare: bool = False) -> Iterator[Supervisor]:
    """A running supervisor, which leaves no process behind; a spare takes seconds of a core to get ready."""
    supervisor = Supervisor(store, cores, spare)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()
        assert all(child.process.poll() is not None for child in supervisor.children)


def endless(store: Store) -> str:
    return store.create(RunConfig(theta=0.0, max_steps=10_000_000))


def short(store: Store, seed: int = 0) -> str:
    return store.create(RunConfig(theta=0.0, max_steps=200, seed=seed))


def ended(store: Store, run: str) -> bool:
    return store.get(run).state == "ended"


def process_of(supervisor: Supervisor, run: str) -> int:
    """The id of the process that trains the run."""
    return next(child.process.pid for child in supervisor.children if child.run_id == run)


def gone(pid: int) -> bool:
    """Whether no process has this id, not even one that nobody has waited for."""
    return not Path(f"/proc/{pid}").exists()


def halt(store: Store, pid: int) -> None:
    """Halt a process at a moment when it does not hold the store's lock."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        other = sqlite3.connect(store.url.database, timeout=0.2, isolation_level=None)
        with closing(other), suppress(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.05)


def test_runs_are_trained_in_order_one_a_core_and_a_paused_one_takes_none(store: Store):
    first, second = endless(store), short(store)
    running: list[set[str]] = []

    def state(run: str) -> str:
        running.append({each.id for each in store.list(states=["running"])})
        return store.get(run).state

    with supervising(store, cores=1, spare=True) as supervisor:
        soon(lambda: state(first) == "running" and store.get(first).step > 0)
        assert queue_position(store, second) == 1
        process = process_of(supervisor, first)
        store.command(first, "pause")
        soon(lambda: state(second) == "ended")
        at = store.get(first)
        assert at.state == "paused"
        store.resume(first)
        soon(lambda: state(first) == "running" and store.get(first).step > at.step)
        assert process_of(supervisor, first) == process
        store.command(first, "stop")
        soon(lambda: state(first) == "ended")
    assert (store.get(first).reason, store.get(second).reason) == ("stopped", "max_steps")
    assert max(len(each) for each in running) == 1
    assert {device["name"] for device in store.setting("devices", list)} >= {"cpu"}


def final(store: Store, run: str) -> dict[str, np.ndarray]:
    """The arrays of the run's last checkpoint."""
    return decode(store.checkpoint(run)[1])[0]


def straight(config: RunConfig) -> dict[str, np.ndarray]:
    """The same, of a run trained without a store."""
    torch.set_num_threads(1)
    return [event for event in train(config) if isinstance(event, Checkpoint)][-1].arrays


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert np.array_equal(one[name], other[name]), name


@pytest.mark.slow
def test_one_process_trains_many_runs_each_as_if_it_were_the_first(store: Store):
    given = [
        {"task": "vulnerabilities", "max_steps": 3, "seed": 4},
        {"task": "spirals", "method": "global", "keep_alive": 1, "seed": 2},
        {"layer_densities": "fc9=0.1"},  # no such layer: this one fails, and the process goes on
        {"mode": "latent", "density": 0.1},
        {"task": "vulnerabilities", "max_steps": 3, "seed": 4, "method": "dense"},
        {"seed": 3},
    ]
    configs = [RunConfig.parse({"theta": 0.0, "max_steps": 40} | values) for values in given]
    ids = [store.create(config) for config in configs]
    with supervising(store, cores=1) as supervisor:
        soon(lambda: all(not store.get(run).active for run in ids))
        assert supervisor.started_children == 1
        assert supervisor.children[0].runs == len(ids)
    assert [store.get(run).state for run in ids] == ["ended"] * 2 + ["failed"] + ["ended"] * 3
    assert "fc9" in store.get(ids[2]).error
    for run, config in zip(ids, configs, strict=True):
        if store.get(run).state == "ended":
            assert_same(final(store, run), straight(config))


@pytest.mark.slow
def test_an_idle_process_that_dies_is_replaced_and_costs_no_run(store: Store):
    first = short(store)
    with supervising(store, cores=1) as supervisor:
        soon(lambda: ended(store, first))
        soon(lambda: supervisor.children[0].run_id is None)
        os.kill(supervisor.children[0].process.pid, signal.SIGKILL)
        soon(lambda: not supervisor.children)
        second = short(store, seed=1)
        soon(lambda: ended(store, second))
    assert supervisor.false_starts == 0


@pytest.mark.slow
def test_processes_beyond_one_spare_are_let_go_after_a_while(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervisor_module, "IDLE_SECONDS", 0.5)
    runs = [short(store, seed) for seed in range(2)]
    with supervising(store, cores=2, spare=True) as supervisor:
        soon(lambda: all(ended(store, run) for run in runs))
        soon(lambda: supervisor.started_children >= 2 and len(supervisor.children) == 1)
        assert supervisor.children[0].run_id is None


@pytest.mark.slow
def test_a_sweep_keeps_nobody_waiting(store: Store):
    stored.begin(
        store, SweepSpec(task="sinc", densities=(0.4,), seeds=(0, 1, 2), parameters={"max_steps": 99})
    )
    queued = store.list()[::-1]
    with supervising(store, cores=1):
        soon(lambda: store.get(queued[0].id).state == "running")
        mine = short(store)
        soon(lambda: ended(store, mine))
        soon(lambda: not store.list(states=["queued", "running"]))
    order = sorted(store.list(), key=lambda run: run.started)
    assert [run.id for run in order] == [queued[0].id, mine, *(run.id for run in queued[1:])]


@pytest.mark.slow
def test_fifty_runs_leave_no_more_memory_in_a_process_than_ten(store: Store):
    ids = [short(store, seed) for seed in range(50)]
    sizes: list[int] = []
    with supervising(store, cores=1) as supervisor:
        for run in ids:
            soon(lambda run=run: ended(store, run))
            status = Path(f"/proc/{supervisor.children[0].process.pid}/status").read_text()
            sizes.append(int(status.split("VmRSS:")[1].split()[0]))
        assert supervisor.started_children == 1
    print(f"\nMB after 1, 10, 25 and 50 runs: {[round(sizes[at] / 1024) for at in (0, 9, 24, 49)]}")
    assert sizes[-1] < sizes[9] + 20 * 1024


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="killing outright is not tested on this system")
def test_a_killed_worker_costs_nothing_but_time(store: Store):
    config = RunConfig(theta=0.0, max_steps=1_500)
    run = store.create(config)
    store.command(run, "pause")
    store.command(run, "step")
    with supervising(store, cores=1) as supervisor:
        soon(lambda: (store.checkpoint(run) or (0,))[0] == 1)
        store.resume(run)
        soon(lambda: store.get(run).step >= 20)
        assert not ended(store, run)
        os.kill(process_of(supervisor, run), signal.SIGKILL)
        soon(lambda: ended(store, run))
    assert store.checkpoint(run)[0] == store.get(run).step == 1_500
    assert_same(final(store, run), straight(config))
    records = [row.step for row in store.entries(run, ["record"])]
    assert records == sorted(set(records))
    assert (records[0], records[-1]) == (0, 1_500)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="halting a process is not tested on this system")
def test_a_process_that_gets_no_time_for_a_while_keeps_its_run(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_module, "LOST_SECONDS", 1.0)
    run = endless(store)
    with supervising(store, cores=1) as supervisor:
        soon(lambda: store.get(run).step > 20)
        worker, pid = store.get(run).worker, process_of(supervisor, run)
        halt(store, pid)
        soon(store.lost)
        time.sleep(2.5 * supervisor_module.LOST_EVERY_SECONDS)  # it has looked, twice
        step = store.get(run).step
        os.kill(pid, signal.SIGCONT)
        soon(lambda: store.get(run).step > step)
        assert (store.get(run).worker, store.get(run).state) == (worker, "running")
        store.command(run, "stop")
        soon(lambda: ended(store, run))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="halting a process is not tested on this system")
def test_a_process_that_hangs_is_ended_and_its_run_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_module, "LOST_SECONDS", 1.0)
    monkeypatch.setattr(supervisor_module, "HUNG_SECONDS", 4.0)
    run = endless(store)
    with supervising(store, cores=1) as supervisor:
        soon(lambda: store.checkpoint(run) and store.get(run).step > 20)
        worker, pid = store.get(run).worker, process_of(supervisor, run)
        halt(store, pid)
        soon(lambda: store.get(run).worker not in (worker, None) and gone(pid))
        step = store.checkpoint(run)[0]
        soon(lambda: store.checkpoint(run)[0] > step)
        store.command(run, "stop")
        soon(lambda: ended(store, run))


def halt_with_the_lock(store: Store, pid: int) -> None:
    """Halt a process at a moment when it holds the store's lock."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        if writer_pid(Path(store.url.database)) == pid:
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.001)


@pytest.mark.skipif(not LOCKS.exists(), reason="only Linux tells who holds a lock, in /proc/locks")
def test_a_process_that_is_halted_with_the_lock_is_ended_and_its_run_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lost, "HELD_SECONDS", 2.0)
    monkeypatch.setattr(database, "BUSY_SECONDS", 1.0)  # of the supervisor; the worker has its usual patience
    with supervising(store, cores=1) as supervisor:
        run = endless(store)
        soon(lambda: store.checkpoint(run))
        halted = process_of(supervisor, run)
        halt_with_the_lock(store, halted)
        soon(lambda: gone(halted))
        step = store.get(run).step
        soon(lambda: store.get(run).step > step)
        assert process_of(supervisor, run) != halted


@pytest.mark.skipif(not LOCKS.exists(), reason="only Linux tells who holds a lock, in /proc/locks")
def test_another_program_that_holds_the_lock_is_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lost, "HELD_SECONDS", 0.0)
    store.list()
    with closing(sqlite3.connect(store.url.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert writer_pid(Path(store.url.database)) == os.getpid()
        ending = threading.Event()
        threading.Timer(5.0, ending.set).start()
        assert stuck_writer(store, [1], ending) is None
        other.execute("ROLLBACK")
    assert writer_pid(Path(store.url.database)) is None
    assert stuck_writer(store, [os.getpid()], threading.Event()) is None


@pytest.mark.slow
def test_what_is_for_everybody_waits_for_no_core_one_at_a_time(store: Store):
    busy = endless(store)
    with supervising(store, cores=1):
        soon(lambda: store.get(busy).step > 0)
        waiting = short(store)
        first, second = (
            store.create(RunConfig(theta=0.0, max_steps=steps), origin=LESSON) for steps in (10_000_000, 200)
        )
        soon(lambda: store.get(first).step > 100)
        assert [store.get(run).state for run in (busy, second, waiting)] == ["running", "queued", "queued"]
        store.command(first, "stop")
        soon(lambda: ended(store, second))
        assert [store.get(run).state for run in (busy, waiting)] == ["running", "queued"]


def test_stopping_queues_the_run_again_and_leaves_no_process(store: Store):
    run, waiting = endless(store), endless(store)
    with supervising(store, cores=1) as supervisor:
        soon(lambda: store.get(run).step > 0)
        processes = [child.process.pid for child in supervisor.children]
        began = time.monotonic()
        supervisor.stop()
        assert time.monotonic() - began < supervisor_module.STOP_SECONDS
        assert all(gone(pid) for pid in processes)
    stopped = store.get(run)
    assert (stopped.state, stopped.worker) == ("queued", None)
    assert store.checkpoint(run)[0] == stopped.step > 0
    assert [queue_position(store, run), queue_position(store, waiting)] == [1, 2]


def test_a_spare_that_dies_as_it_is_handed_a_run_loses_it_to_the_queue(store: Store):
    supervisor = Supervisor(store, cores=1)
    run = short(store)
    supervisor._keep_spare()
    spare = supervisor._spare()
    spare.process.kill()
    spare.process.wait()
    supervisor._assign(run, "queued")
    assert store.get(run).state == "running"
    supervisor._reap()
    assert (store.get(run).state, store.get(run).worker) == ("queued", None)
    assert supervisor.children == []


def test_where_no_worker_can_start_queued_runs_fail_with_a_sentence(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(supervisor_module.sys, "executable", shutil.which("false"))
    monkeypatch.setattr(supervisor_module, "SPARE_RETRY_SECONDS", 0.0)
    run = short(store)
    with supervising(store, cores=1, spare=True):
        soon(lambda: store.get(run).state == "failed")
    assert "worker process" in store.get(run).error
