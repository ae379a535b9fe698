"""A sweep trained by this machine's processes: to its end, or until it is stopped, and never twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.executors import Local
from sparsecore.runs.sweeps.spec import Cell, SweepSpec
from sparsecore.runs.workers import supervisor, worker

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 60.0
LONGER = 2_000  # steps: a busy machine stops a run well before its end


def grid(max_steps: int = 30, **more: object) -> SweepSpec:
    return SweepSpec(
        **{"task": "sinc", "densities": (1.0, 0.3), "parameters": {"max_steps": max_steps, "theta": 0.0}}
        | more
    )


def test_every_cell_is_trained_and_told_of(store: Store):
    sweep = stored.begin(store, grid())
    heard: list[list[str]] = []
    Local(store, workers=2).run(sweep, lambda cells: heard.append([cell.status for cell in cells]))
    assert heard[0] == ["queued"] * 3
    assert heard[-1] == ["done"] * 3
    assert store.get(store.list()[0].id).step == 30


@pytest.mark.slow
def test_a_sweep_that_is_all_there_starts_nothing(store: Store):
    sweep = stored.begin(store, grid())
    with Local(store, workers=1) as local:
        local.run(sweep, lambda cells: None)
        before = [run.id for run in store.list()]
        again = stored.begin(store, grid())
        local.run(again, lambda cells: None)
        assert local.supervisor.started_children == 1
    assert [run.id for run in store.list()] == before


@pytest.mark.slow
def test_stopped_from_elsewhere_it_returns_with_what_was_reached_and_goes_on_when_resumed(store: Store):
    sweep = stored.begin(
        store, grid(max_steps=LONGER, densities=(0.3,), methods=("layerwise",), seeds=(0, 1))
    )

    def stop_once_it_trains(cells: Sequence[Cell]) -> None:
        if any(cell.run is not None and cell.run.step > 0 for cell in cells):
            stored.stop(store, sweep)

    Local(store, workers=1).run(sweep, stop_once_it_trains)
    left = store.list()
    assert [run.state for run in left] == ["paused"]
    reached = store.checkpoint(left[0].id)[0]
    assert reached > 0
    stored.resume(store, sweep)
    begun_at: list[int] = []

    def listen(cells: Sequence[Cell]) -> None:
        begun_at.extend(cell.run.step for cell in cells if cell.run.id == left[0].id)

    Local(store, workers=1).run(sweep, listen)
    assert begun_at[0] >= reached
    assert [run.step for run in store.list()] == [LONGER, LONGER]
    assert left[0].id in {run.id for run in store.list()}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process is halted on this system")
def test_stopped_before_its_process_takes_a_step_a_run_is_paused_and_goes_on_when_resumed(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.5)
    sweep = stored.begin(store, grid(densities=(0.3,), methods=("layerwise",)))
    local = Local(store, workers=1)

    def halt_and_stop(cells: Sequence[Cell]) -> None:  # as one that the machine is too busy for
        if cells[0].status == "running":
            for child in local.supervisor.children:
                os.kill(child.process.pid, signal.SIGSTOP)
            stored.stop(store, sweep)

    local.run(sweep, halt_and_stop)
    (run,) = store.list()
    assert (run.state, run.worker, store.take_commands(run.id)) == ("paused", None, [])
    stored.resume(store, sweep)
    local.run(sweep, lambda cells: None)
    assert [(again.id, again.step) for again in store.list()] == [(run.id, 30)]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="killing outright is not tested on this system")
def test_killed_outright_and_started_again_nothing_is_lost_and_nothing_repeated(store: Store, home: Path):
    command = ["sweep", "sinc", "--densities", "0.3,0.2", "--methods", "layerwise", "--theta", "0"]
    arguments = [
        sys.executable,
        "-m",
        "sparsecore",
        *command,
        "--max-steps",
        "700",
        "--workers",
        "1",
        "--json",
    ]
    environment = os.environ | {"SPARSECORE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(store.checkpoint(run.id) for run in store.list()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    while any(run.worker for run in store.list()):  # its workers notice, save and let go
        assert time.monotonic() < deadline
        time.sleep(0.05)
    saved = {run.id: run.step for run in store.list()}
    assert max(saved.values()) > 0
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {run.id for run in store.list()} == saved.keys()
    for run in store.list():
        steps = [row.step for row in store.entries(run.id, ["record"])]
        assert steps == sorted(set(steps))
        assert (steps[0], steps[-1]) == (0, 700)


@pytest.mark.slow
def test_a_remote_process_trains_one_run_that_it_claims(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "one_thread", lambda: torch.set_num_threads(1))
    stored.begin(store, grid(densities=(1.0,)))
    run = store.list()[0].id
    assert worker.train_one(store.home, run, "node:1")
    assert (store.get(run).state, store.get(run).step) == ("ended", 30)
    assert not worker.train_one(store.home, run, "node:2")
