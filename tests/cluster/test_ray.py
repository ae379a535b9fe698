"""A sweep on Ray: its runs are trained, seen and stopped like any other, and survive their processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sparsecore.corpora import storage
from sparsecore.corpora.corpus import Corpus
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import decode, decode_meta
from sparsecore.engine.training.events import Checkpoint
from sparsecore.engine.training.loop import train
from sparsecore.runs.store import queue
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import ray as ray_executor
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.bisection import Bisection
from sparsecore.runs.sweeps.ray import ClusterError, Ray
from sparsecore.runs.sweeps.spec import Cell, SweepSpec
from tests.cluster.conftest import Cluster

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 180.0  # two busy cores share Ray, its processes and whatever else runs
ENDLESS = 10_000_000


def grid(max_steps: int, seeds: tuple[int, ...] = (0,), **more: Any) -> SweepSpec:
    """Layerwise at 0.3, a run a seed."""
    parameters = {"max_steps": max_steps, "theta": 0.0} | more
    return SweepSpec(
        task="sinc", methods=("layerwise",), densities=(0.3,), seeds=seeds, parameters=parameters
    )


def ignore(_cells: Sequence[Cell]) -> None:
    """A listener that wants to know nothing."""


def once(condition: Callable[[list[Run]], Any], act: Callable[[list[Run]], None]) -> Callable:
    """A listener that acts once, when the condition on the cells' runs holds; it gives up in the end."""
    began, acted = time.monotonic(), []

    def listen(cells: Sequence[Cell]) -> None:
        runs = [cell.run for cell in cells if cell.run is not None]
        if not acted and condition(runs):
            acted.append(True)
            act(runs)
        assert acted or time.monotonic() - began < PATIENCE_SECONDS, "it never came true"

    return listen


def trains(runs: list[Run]) -> bool:
    return any(run.state == "running" and run.step > 0 for run in runs)


def process_of(run_id: str) -> int:
    """The id of the Ray process that trains the run: Ray gives it the task's name."""
    title = f"ray::{run_id}".encode()
    found = (int(p.name) for p in Path("/proc").iterdir() if p.name.isdecimal() and title in _title(p))
    return next(found)


def _title(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def straight(config: RunConfig) -> dict[str, np.ndarray]:
    """The final state of the same run, trained without a store."""
    torch.set_num_threads(1)
    return [event for event in train(config) if isinstance(event, Checkpoint)][-1].arrays


def assert_trained_as_ever(store: Store, run: Run) -> None:
    expected, (step, blob) = straight(run.config), store.checkpoint(run.id)
    reached = decode(blob)[0]
    assert step == run.config.max_steps
    for name, array in expected.items():
        assert np.array_equal(reached[name], array), name


# -- with a real Ray --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cluster", "either_database")
def test_a_run_is_trained_and_its_frames_are_in_the_store_while_it_trains(store: Store):
    sweep = stored.begin(store, grid(ENDLESS))
    seen: list[int] = []

    def look(runs: list[Run]) -> bool:
        frame = store.frame(runs[0].id) if runs[0].state == "running" else None
        if frame is not None and frame.step not in seen:
            assert decode_meta(frame.payload)["step"] == frame.step
            seen.append(frame.step)
        return len(seen) == 3

    Ray(store).run(sweep, once(look, lambda runs: store.command(runs[0].id, "stop")))
    (run,) = store.list()
    assert (run.state, run.reason, run.worker) == ("ended", "stopped", None)
    assert run.step >= seen[2] > seen[1] > seen[0]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="killing outright is not tested on this system")
@pytest.mark.usefixtures("cluster")
def test_a_killed_process_costs_nothing_but_time(shared: Store):
    sweep = stored.begin(shared, grid(1_000, size="paper"))
    kill = once(trains, lambda runs: os.kill(process_of(runs[0].id), signal.SIGKILL))
    Ray(shared).run(sweep, kill)
    (run,) = shared.list()
    assert (run.state, run.reason) == ("ended", "max_steps")
    assert_trained_as_ever(shared, run)
    records = [row.step for row in shared.entries(run.id, ["record"])]
    assert records == sorted(set(records))


@pytest.mark.usefixtures("cluster")
def test_stopped_from_elsewhere_it_lets_go_at_once_and_goes_on_when_resumed(shared: Store):
    sweep = stored.begin(shared, grid(ENDLESS, seeds=(0, 1, 2)))

    def stop(_runs: list[Run]) -> None:
        stored.stop(shared, sweep)

    Ray(shared).run(sweep, once(trains, stop))
    left = {run.id: shared.checkpoint(run.id) for run in shared.list()}
    assert {(run.state, run.worker) for run in shared.list()} == {("paused", None)}
    reached = {run: checkpoint[0] for run, checkpoint in left.items() if checkpoint is not None}
    assert max(reached.values()) > 0
    stored.resume(shared, sweep)

    def goes_on(runs: list[Run]) -> bool:
        return any(run.step > reached.get(run.id, ENDLESS) for run in runs)

    Ray(shared).run(sweep, once(goes_on, stop))
    assert left.keys() <= {run.id for run in shared.list()}


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process is halted on this system")
@pytest.mark.usefixtures("cluster")
def test_stopped_before_its_process_takes_a_step_a_run_is_paused_and_goes_on_when_resumed(
    shared: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ray_executor, "STOP_SECONDS", 0.5)
    sweep = stored.begin(shared, grid(ENDLESS))
    halted: list[int] = []

    def halt_and_stop(runs: list[Run]) -> None:  # as one that the machine is too busy for
        halted.append(process_of(runs[0].id))
        os.kill(halted[0], signal.SIGSTOP)
        stored.stop(shared, sweep)

    Ray(shared).run(sweep, once(lambda runs: runs[0].state == "running", halt_and_stop))
    with suppress(ProcessLookupError):  # Ray may have ended it already
        os.kill(halted[0], signal.SIGKILL)
    (run,) = shared.list()
    assert (run.state, run.worker, shared.take_commands(run.id)) == ("paused", None, [])
    stored.resume(shared, sweep)
    Ray(shared).run(sweep, once(trains, lambda runs: stored.stop(shared, sweep)))
    assert [again.id for again in shared.list()] == [run.id]


@pytest.mark.usefixtures("cluster")
def test_interrupted_it_saves_what_trains_and_leaves_everything_queued(shared: Store):
    sweep = stored.begin(shared, grid(ENDLESS, seeds=(0, 1, 2)))
    executor = Ray(shared)

    def interrupt(_runs: list[Run]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.run(sweep, once(trains, interrupt))
    runs = shared.list()
    assert [(run.state, run.worker) for run in runs] == [("queued", None)] * 3
    assert max(run.step for run in runs) > 0
    assert all(shared.checkpoint(run.id)[0] == run.step for run in runs if run.step)
    assert all(shared.take_commands(run.id) == [] for run in runs)
    assert executor.tasks == {}


@pytest.mark.usefixtures("cluster")
def test_two_sweeps_train_at_the_same_time_and_those_that_are_stopped_are_not_waited_for(shared: Store):
    endless, other = (stored.begin(shared, grid(ENDLESS, seeds=(seed,))) for seed in (0, 1))

    def stop(_runs: list[Run]) -> None:
        stored.stop(shared, endless)
        stored.stop(shared, other)

    def both(runs: list[Run]) -> bool:
        return len(runs) == 2 and all(run.state == "running" and run.step > 0 for run in runs)

    Ray(shared).run(endless, once(both, stop), other)
    assert {(run.state, run.worker) for run in shared.list()} == {("paused", None)}


@pytest.mark.usefixtures("cluster", "either_database")
def test_a_bisection_keeps_one_connection_and_trains_ordinary_runs(store: Store):
    with Ray(store) as executor:
        found = Bisection(store, executor, grid(40), tolerance=9.0).find(lowest=0.2)
    assert found.density == 0.2
    assert {run.config.density: run.state for run in store.list()} == {1.0: "ended", 0.2: "ended"}
    assert all(run.step == 40 for run in store.list())


@pytest.mark.usefixtures("cluster")
def test_runs_that_ask_for_a_gpu_share_it(shared: Store):
    import ray

    sweep = stored.begin(shared, grid(ENDLESS, seeds=(0, 1)))
    free: list[float] = []

    def note(_runs: list[Run]) -> None:
        free.append(ray.available_resources().get("GPU", 0))
        stored.stop(shared, sweep)

    both = once(lambda runs: sum(run.state == "running" for run in runs) == 2, note)
    Ray(shared, gpus_per_run=0.5).run(sweep, both)
    assert free == [0]


def test_another_machine_is_sent_the_texts_that_its_home_lacks(shared: Store, cluster: Cluster):
    texts = tuple(f"攻击者可利用第{i}个漏洞执行任意代码" for i in range(40))
    corpus = Corpus("week", texts, tuple(i % 4 for i in range(40)), {}, False)
    key = storage.save(corpus, shared.home / "corpora")
    assert not storage.saved_at(key, cluster.home / "corpora")
    more = {"task": "vulnerabilities", "parameters": {"data": key, "max_steps": 2}}
    sweep = stored.begin(shared, grid(2).model_copy(update=more))
    Ray(shared, "the connection that there is").run(sweep, ignore)
    assert [(run.state, run.error) for run in shared.list()] == [("ended", None)]
    assert storage.load(key, cluster.home / "corpora") == corpus


@pytest.mark.usefixtures("cluster")
def test_texts_that_are_kept_nowhere_fail_their_run_and_no_other(shared: Store):
    more = {"task": "vulnerabilities", "parameters": {"data": "0" * 16, "max_steps": 2}}
    sweep = stored.begin(shared, grid(2).model_copy(update=more))
    Ray(shared, "the connection that there is").run(sweep, ignore)
    (run,) = shared.list()
    assert run.state == "failed"
    assert "add its file again" in run.error


@pytest.mark.usefixtures("cluster")
def test_where_no_task_can_begin_the_run_fails_with_the_reason(shared: Store):
    sweep = stored.begin(shared, grid(2))
    executor = Ray(shared)
    assert shared.list()  # connected before the address is spoilt, as `localhost` is on another machine
    shared.url = shared.url.set(port=9)
    executor.run(sweep, ignore)
    (run,) = shared.list()
    assert run.state == "failed"
    assert "127.0.0.1:9/postgres cannot be reached" in run.error
    assert run.error.startswith("its Ray task failed: StoreError: ")


# -- who waits for a cluster ------------------------------------------------------------------------------


@pytest.mark.usefixtures("either_database")
def test_no_server_trains_what_waits_for_a_cluster_until_that_is_silent(store: Store):
    waiting, free = (store.create(RunConfig(seed=seed), origin=queue.SWEEP) for seed in range(2))

    def for_servers() -> set[str]:
        with store.engine.connect() as connection:
            return {row.id for row in queue.waiting(connection)}

    with store.engine.begin() as connection:
        queue.reserve(connection, [waiting], "ray:cluster", 0.0)
    assert for_servers() == {free}
    assert [run.id for run in store.lost()] == [waiting]
    with store.engine.begin() as connection:
        queue.heartbeat(connection, "ray:cluster", time.time())
    assert store.lost() == []
    for _ in range(5):  # it never began, so it never crashed
        store.recover(waiting, "ray:cluster", "gone.")
        assert for_servers() == {waiting, free}
        with store.engine.begin() as connection:
            queue.reserve(connection, [waiting], "ray:cluster", 0.0)
    with store.engine.begin() as connection:
        queue.unreserve(connection, "ray:cluster")
    assert for_servers() == {waiting, free}


@pytest.mark.usefixtures("either_database")
def test_a_run_that_is_stopped_while_it_waits_for_a_cluster_again_is_free_when_that_is_gone(store: Store):
    sweep = stored.begin(store, grid(40))
    (run,) = store.list()
    store.claim(run.id, "ray:cluster:1")
    store.release(run.id, "ray:cluster:1")
    with store.engine.begin() as connection:
        queue.reserve(connection, [run.id], "ray:cluster", time.time())
    stored.stop(store, sweep)
    with store.engine.begin() as connection:
        queue.unreserve(connection, "ray:cluster")
    assert (store.get(run.id).state, store.get(run.id).worker) == ("paused", None)


# -- what is refused --------------------------------------------------------------------------------------


def test_a_cluster_is_refused_a_file_that_its_machines_cannot_see(store: Store):
    with pytest.raises(
        ClusterError, match="SQLite file, which the machines of ray://host:10001 cannot reach"
    ):
        Ray(store, "ray://host:10001")


def test_without_ray_the_file_to_install_is_named(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # an import raises then as if it were not installed
    with pytest.raises(ClusterError, match=r"pip install -r requirements-cluster\.txt"):
        Ray(store)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ("sweep sinc --densities 0.3 --methods layerwise", 1),
        ("smallest sinc --lowest 0.3 --tolerance 9", 2),  # dense, and the lowest, which is within
        ("search sinc --trials 2", 2),
    ],
)
def test_the_command_line_trains_on_a_ray_of_its_own(home: Path, command: str, runs: int):
    command += " --max-steps 50 --theta 0 --executor ray --workers 1 --json"
    done = subprocess.run(
        [sys.executable, "-m", "sparsecore", *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert [(run.state, run.step, run.worker) for run in Store(home).list()] == [("ended", 50, None)] * runs
