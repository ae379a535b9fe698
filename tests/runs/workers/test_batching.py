"""Many models at once, by itself: when a batch process is started, what is left to it, and its death."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sparsecore.engine.batch.grouping import NOTHING_TAKEN
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import queue
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.executors import Local
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.runs.workers.batching import Batching, Choice
from sparsecore.runs.workers.supervisor import Supervisor

PATIENCE_SECONDS = 60.0
ENDLESS = 10_000_000
GPU = [{"name": "cpu", "label": "x"}, {"name": "cuda:0", "label": "y", "free": 1}]
GRID = SweepSpec(
    task="sinc", densities=(1.0, 0.4, 0.05), seeds=(0, 1), parameters={"max_steps": 60, "theta": 0.0}
)


def soon(condition: Callable[[], Any]) -> Any:
    """What the condition gives, as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return found


def queued(store: Store, count: int = 2, origin: str = "sweep", **parameters: Any) -> list[str]:
    """Runs that wait, one a seed."""
    given = {"max_steps": 60, "theta": 0.0} | parameters
    return [store.create(RunConfig.parse({"seed": seed} | given), origin) for seed in range(count)]


def process(code: int | None) -> subprocess.Popen:
    """One that ends with this code, or with None once its standard input is closed."""
    what = "sys.stdin.read()" if code is None else f"sys.exit({code})"
    return subprocess.Popen([sys.executable, "-c", f"import sys; {what}"], stdin=subprocess.PIPE)


def batching(store: Store, choice: Choice = "auto", code: int | None = None) -> Batching:
    return Batching(store, choice, "s", lambda *arguments: process(code))


def left(policy: Batching) -> set[str]:
    with policy.store.engine.connect() as connection:
        return policy.reserved(queue.waiting(connection))


# -- what is left to it -----------------------------------------------------------------------------------


def test_without_a_gpu_nothing_is_left_to_a_batch(store: Store):
    queued(store)
    assert (left(batching(store)), batching(store).lookahead) == (set(), 0)


def test_a_gpu_that_a_worker_found_is_for_the_runs_of_sweeps_that_fit(either_database: str):
    store = Store()
    store.set_setting("devices", GPU)
    fitting = [*queued(store), *queued(store, 1, device="cuda:0", seed=7)]
    queued(store, origin="page")
    queued(store, mode="latent")
    queued(store, device="cpu")
    policy = batching(store)
    assert left(policy) == set(fitting)
    assert store.claim(fitting[0], "w")
    store.recover(fitting[0], "w", "it is gone.")
    assert left(policy) == set()  # of what is left no two fit together
    store.close()


def test_off_is_off_and_always_is_without_a_gpu_too(store: Store):
    runs = queued(store, device="cpu")
    assert left(batching(store, "always")) == set(runs)
    store.set_setting("devices", GPU)
    assert left(batching(store, "off")) == set()


def test_one_that_fits_is_left_to_a_process_that_is_there_but_starts_none(store: Store):
    (run,) = queued(store, 1)
    policy = batching(store, "always")
    assert left(policy) == set()
    assert policy.start()
    assert not policy.start()
    assert left(policy) == {run}
    policy.process.communicate()


@pytest.mark.parametrize("code", [NOTHING_TAKEN, 1])
def test_after_a_process_that_took_nothing_ordinary_workers_train(store: Store, code: int):
    queued(store)
    policy = batching(store, "always", code)
    policy.start()
    policy.process.wait()
    policy.reap()
    assert policy.process is None
    assert left(policy) == set()


def test_one_that_did_its_work_is_followed_by_another(store: Store):
    runs = queued(store)
    policy = batching(store, "always", 0)
    policy.start()
    policy.process.wait()
    policy.reap()
    assert left(policy) == set(runs)


def test_what_a_dead_one_held_goes_on_alone(store: Store):
    held, other = queued(store, 2), queued(store, 2, task="spirals")
    policy = batching(store, "always", 1)
    policy.start()
    assert all(store.claim(run, policy.name) for run in held)
    policy.process.wait()
    policy.reap()
    assert [(store.get(run).state, store.get(run).worker) for run in held] == [("queued", None)] * 2
    assert left(policy) == set(other)


# -- with real processes ----------------------------------------------------------------------------------


@contextmanager
def supervising(store: Store, cores: int) -> Iterator[Supervisor]:
    """A running supervisor that batches, which leaves no process behind."""
    supervisor = Supervisor(store, cores, spare=False, batching="always")
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()
        assert supervisor.batching.process is None
        assert all(child.process.poll() is not None for child in supervisor.children)


def trained(home: Any, choice: Choice) -> tuple[int, dict[str, tuple]]:
    """How many batch processes the grid took in a store of its own, and how each cell ended, by digest."""
    store = Store(home)
    sweep = stored.begin(store, GRID)
    local = Local(store, workers=1, batching=choice)
    with local:
        local.run(sweep, lambda cells: None)
        started = local.supervisor.batching.started
    cells = stored.cells_of(store, GRID)
    store.close()
    return started, {c.config.digest(): (c.status, c.run.step, c.run.reason, *c.metric) for c in cells}


@pytest.mark.slow
def test_a_sweep_ends_with_the_same_results_as_without(home: Any):
    batches, together = trained(home / "together", "always")
    none, alone = trained(home / "alone", "off")
    assert (batches, none) == (1, 0)
    assert together.keys() == alone.keys()
    for digest, (status, step, reason, name, train, test) in alone.items():
        assert together[digest][:4] == (status, step, reason, name)
        assert together[digest][4:] == pytest.approx((train, test), rel=1e-3)


@pytest.mark.slow
def test_a_batch_counts_as_one_core_beside_what_it_does_not_take(store: Store):
    batch, page = queued(store, 2, max_steps=ENDLESS), queued(store, 1, "page", max_steps=ENDLESS)
    latent = queued(store, 1, mode="latent")
    with supervising(store, cores=2) as supervisor:
        soon(lambda: all(store.get(run).step > 0 for run in (*batch, *page)))
        assert store.get(latent[0]).state == "queued"
        assert {store.get(run).worker for run in batch} == {supervisor.batching.name}
        store.command(page[0], "stop")
        soon(lambda: store.get(latent[0]).state == "ended")
    assert {(store.get(run).state, store.get(run).worker) for run in batch} == {("queued", None)}
    assert all(store.checkpoint(run) for run in batch)  # let go with the supervisor, and saved


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="killing outright is not tested on this system")
def test_a_killed_batch_process_loses_nothing(store: Store):
    runs = queued(store, 3, max_steps=ENDLESS)
    with supervising(store, cores=1) as supervisor:
        soon(lambda: all(store.checkpoint(run) for run in runs))
        batch = supervisor.batching.process
        os.kill(batch.pid, signal.SIGKILL)
        batch.wait()
        at = {run: store.checkpoint(run)[0] for run in runs}
        for run in runs:  # one after the other, in an ordinary worker
            soon(lambda run=run: store.checkpoint(run)[0] > at[run])
            store.command(run, "stop")
            soon(lambda run=run: store.get(run).state == "ended")
        assert supervisor.batching.started == 1
    for run in runs:
        records = [row.step for row in store.entries(run, ["record"])]
        assert records == sorted(set(records))
        assert store.get(run).step > at[run]
