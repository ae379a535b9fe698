"""The supervisor: assigns queued runs to worker processes, keeps a spare one, recovers lost runs."""

import contextlib
import logging
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass

from sparsecore.runs.store import queue
from sparsecore.runs.store.database import StoreError, store_environment
from sparsecore.runs.store.errors import LostRun
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.batching import Batching, Choice
from sparsecore.runs.workers.lost import HeartbeatMonitor, stuck_writer
from sparsecore.settings import usable_cores

TICK_SECONDS = 0.1
LOST_EVERY_SECONDS = 2.0
SHARED_EVERY_SECONDS = 0.5  # while no core is free: the query is slow with thousands of queued runs
STOP_SECONDS = 8.0  # for workers to save when the server ends
SPARE_DELAY_SECONDS = 2.0  # a new spare imports torch: not while an assigned run is starting
SPARE_RETRY_SECONDS = 5.0  # after a worker that could not start
MAX_FALSE_STARTS = 3
START_SECONDS = 60.0  # a process may take this long before its first heartbeat
HUNG_SECONDS = 120.0  # a live process without a heartbeat for this long hangs
IDLE_SECONDS = 10.0  # how long processes beyond one spare are kept after their run

logger = logging.getLogger(__name__)


@dataclass
class Child:
    """A worker process; `run_id` is None while it is idle."""

    process: subprocess.Popen
    name: str
    since: float  # when it was started, was assigned a run, or finished one
    run_id: str | None = None
    runs: int = 0  # how many it was assigned


class Supervisor(threading.Thread):
    """Trains the store's queued runs in order, at most `cores` at once, until `stop()`.

    Shared runs (a lesson's, or the first one a visitor sees) do not wait for a core: one of them at a time
    trains in addition to the others.

    spare: keep one idle process ready for the next run.
    batching: whether small runs of sweeps train as one batch, in a process that counts as one core.

    A process that has finished its run takes the next one. A paused run keeps its process for a while and
    takes no core. A run with a dead process is queued again and continues from its last checkpoint.
    """

    def __init__(
        self, store: Store, cores: int | None = None, spare: bool = True, batching: Choice = "auto"
    ) -> None:
        super().__init__(name="supervisor", daemon=True)
        self.store, self.spare = store, spare
        self.cores = cores or usable_cores()
        self.name_prefix = uuid.uuid4().hex[:8]
        self.batching = Batching(store, batching, self.name_prefix, self._start)
        self.monitor = HeartbeatMonitor(store)
        self.children: list[Child] = []
        self.started_children = 0
        self.false_starts = 0
        self.next_spare = self.next_search = self.next_shared = 0.0
        self.ending = threading.Event()

    def run(self) -> None:
        reported = ""
        while not self.ending.wait(TICK_SECONDS):
            try:
                self._tick()
            except StoreError as error:
                if reported != str(error):  # log it once, not every two seconds
                    reported = str(error)
                    logger.warning("Supervisor: %s", reported)
                self.monitor.reset()
                if error.kind == "locked":
                    self._wait_for_lock()
                else:
                    self.ending.wait(LOST_EVERY_SECONDS)
            except Exception:
                logger.exception("The supervisor failed in this round; it will try again.")
                self.ending.wait(1.0)

    def stop(self) -> None:
        """End all workers after they saved; their runs are queued for the next server."""
        self.ending.set()
        if self.is_alive():
            self.join()
        processes = self._processes()
        for process in processes:
            _close_input(process)
        deadline = time.monotonic() + STOP_SECONDS
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in self.children:
            if child.run_id is not None:
                self._recover(child)  # does nothing to a run that its worker released
        self.batching.reap()

    def _processes(self) -> list[subprocess.Popen]:
        batch = [self.batching.process] if self.batching.process else []
        return [child.process for child in self.children] + batch

    def _wait_for_lock(self) -> None:
        """Wait until the store is not locked any more; end a worker that hangs with the lock."""
        ours = {process.pid: process for process in self._processes()}
        held = stuck_writer(self.store, ours, self.ending)
        if held is not None:
            logger.error("Worker process %s held the store's lock and did nothing: it was stopped.", held)
            ours[held].kill()

    def _tick(self) -> None:
        self._reap()
        if time.monotonic() >= self.next_search:
            self.next_search = time.monotonic() + LOST_EVERY_SECONDS
            self._send_heartbeats_for_starting()
            if self.monitor.silent():
                self.store.try_writing()  # a silent worker may be alive and wait for the same disk
            for run in self.monitor.lost():
                if not self._is_starved(run):
                    logger.warning("Run %s lost its worker %s.", run.id, run.worker)
                    self.store.recover(run.id, run.worker, "its worker stopped responding.")
        training, shared_running = self._update_children()
        self._keep_spare()
        self._start_queued(self.cores - training - (self.batching.process is not None), shared_running)
        for run_id in self.store.paused_with_commands():
            self._assign(run_id, "paused")

    def _is_starved(self, run: Run) -> bool:
        """Whether a silent worker is a live process of this supervisor: the machine is overloaded.

        One that is silent for `HUNG_SECONDS` hangs, and is killed.
        """
        child = next((child for child in self.children if child.name == run.worker), None)
        if child is None or child.process.poll() is not None:
            return False
        hangs = self.monitor.seconds(run.id) > HUNG_SECONDS
        if hangs:
            child.process.kill()
        return not hangs

    def _send_heartbeats_for_starting(self) -> None:
        """Send heartbeats for processes that still import torch: on a busy machine that takes long."""
        for child in self.children:
            starting = child.runs == 1 and time.monotonic() - child.since < START_SECONDS
            if starting and child.run_id is not None:
                with contextlib.suppress(LostRun):
                    self.store.heartbeat(child.run_id, child.name)

    def _reap(self) -> None:
        self.batching.reap()
        for child in [child for child in self.children if child.process.poll() is not None]:
            self.children.remove(child)
            dismissed = child.process.stdin.closed
            _close_input(child.process)
            if child.run_id is not None:
                self._recover(child)
            elif not (child.runs or dismissed):
                self.false_starts += 1
                self.next_spare = time.monotonic() + SPARE_RETRY_SECONDS
                logger.error("A worker could not start (exit %s).", child.process.returncode)

    def _recover(self, child: Child) -> None:
        what = f"its worker process ended with code {child.process.returncode} several times."
        self.store.recover(child.run_id, child.name, what)

    def _update_children(self) -> tuple[int, bool]:
        """Free the children with a finished run; returns the taken cores, and whether a shared run trains.

        A paused or queued run takes no core.
        """
        with self.store.engine.connect() as connection:
            held = queue.runs_of(connection, [child.name for child in self.children])
        for child in self.children:
            row = held.get(child.name)
            if child.run_id is not None and (row is None or row.id != child.run_id):
                child.run_id, child.since = None, time.monotonic()
        training = [row for row in held.values() if row.state == "running"]
        shared_running = any(row.shared for row in training)
        return len(training) - shared_running, shared_running

    def _keep_spare(self) -> None:
        """Keep one idle process; end further ones after a while."""
        idle = self._idle()
        if (self.spare or self.false_starts) and not idle and time.monotonic() >= self.next_spare:
            self.children.append(self._spawn())
        for child in idle[1:]:
            if time.monotonic() - child.since > IDLE_SECONDS:
                _close_input(child.process)

    def _idle(self) -> list[Child]:
        """Idle children, the one that trained last first: its caches are warm."""
        idle = [c for c in self.children if c.run_id is None and not c.process.stdin.closed]
        return sorted(idle, key=lambda child: (child.runs > 0, child.since), reverse=True)

    def _spare(self) -> Child | None:
        return next(iter(self._idle()), None)

    def _spawn(self) -> Child:
        self.started_children += 1
        process = self._start("sparsecore.runs.workers.process", str(self.store.home))
        return Child(process, f"{self.name_prefix}:{self.started_children}", time.monotonic())

    def _start(self, module: str, *arguments: str) -> subprocess.Popen:
        """Start a process that trains for this store until its standard input is closed."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=store_environment(self.store.home, self.store.url),
            text=True,
            start_new_session=True,  # Ctrl-C in the terminal goes to the server only; workers save first
        )

    def _start_queued(self, free: int, shared_running: bool) -> None:
        """Start runs on the `free` cores, and a shared run unless one is running."""
        hopeless = self.false_starts >= MAX_FALSE_STARTS and self._spare() is None
        full = free <= 0 and not hopeless
        if full and (shared_running or time.monotonic() < self.next_shared):
            return
        with self.store.engine.connect() as connection:
            if full and not queue.has_shared(connection):
                self.next_shared = time.monotonic() + SHARED_EVERY_SECONDS
                return
            limit = None if hopeless else max(0, free) + 1 + self.batching.lookahead
            waiting = queue.waiting(connection, limit)
        reserved = self.batching.reserved(waiting)
        for run in waiting:
            takes_core = shared_running or not run.shared
            if hopeless:
                self.store.fail(
                    run.id, "no worker process can start on this server; see its console for details."
                )
            elif takes_core and free <= 0:
                return
            elif run.id in reserved:
                free -= self.batching.start()
            else:
                free -= takes_core
                shared_running = shared_running or run.shared
                if not self._continue_in_place(run.id):
                    self._assign(run.id, "queued")

    def _continue_in_place(self, run_id: str) -> bool:
        """Continue a resumed run in the process that still holds it, if there is one."""
        holders = (c for c in self.children if c.run_id == run_id and c.process.poll() is None)
        holder = next(holders, None)
        return holder is not None and self.store.claim(run_id, holder.name)

    def _assign(self, run_id: str, state: str) -> None:
        """Assign the run to an idle process, or to a new one unless starting them has failed."""
        child = self._spare()
        if child is None and not self.false_starts:
            child = self._spawn()
            self.children.append(child)
        if child is None or not self.store.claim(run_id, child.name, state):
            return
        child.run_id, child.since, child.runs = run_id, time.monotonic(), child.runs + 1
        self.false_starts = 0
        self.next_spare = time.monotonic() + SPARE_DELAY_SECONDS
        try:
            child.process.stdin.write(f"{run_id} {child.name}\n")
            child.process.stdin.flush()
        except BrokenPipeError:
            logger.warning("The spare worker had ended; run %s was queued again.", run_id)


def _close_input(process: subprocess.Popen) -> None:
    """Close its standard input, which may still hold an assignment for a dead process."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
