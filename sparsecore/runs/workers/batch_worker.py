"""The batch worker: trains several runs of a sweep as one batch, with a log for each run.

As a process, `python -m sparsecore.runs.workers.batch_worker HOME`, it claims one batch after another from
the queue until none is left or its standard input closes. It claims runs on CUDA, where one large operation
costs little more than a small one; with `--anywhere` runs on every device, for tests: on a CPU one worker per
core is faster. Ordinary workers train all other runs.
"""

import argparse
import math
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from sqlalchemy import select, update

from sparsecore.engine.batch.grouping import (
    ANYWHERE,
    LARGEST,
    LOOKED_THROUGH,
    NOTHING_TAKEN,
    batchable,
    fits,
)
from sparsecore.engine.batch.loop import Leave, Reply, train_many
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.events import Checkpoint, Command, Ended, Event, Ready
from sparsecore.runs.store import queue
from sparsecore.runs.store.database import StoreError, clock
from sparsecore.runs.store.errors import LostRun
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import commands, runs
from sparsecore.runs.workers.assignments import end_with_server, send_heartbeats
from sparsecore.runs.workers.warm_up import NICENESS
from sparsecore.runs.workers.worker import POLL_SECONDS, Worker, error_sentence, one_thread

FLUSH_SECONDS = 2.0  # a transaction takes as long as a step, and a batch may have sixty runs


class BatchRun(Worker):
    """One run of a batch: logged and commanded as by its own worker, but it never blocks the batch.

    A paused run is saved and leaves the batch at once; an ordinary worker takes it from there. A run that was
    taken over or deleted leaves too.
    """

    flush_seconds = FLUSH_SECONDS
    ended: Ended | None = None
    lost = False

    def resume_point(self) -> Checkpoint | None:
        """The checkpoint to continue from; the log after it is dropped."""
        resume = self._retry(self._last_checkpoint)
        try:
            self._retry(self.store.rewind, self.run.id, self.name, resume.step if resume else -1)
        except LostRun:
            self.lost = True
        return resume

    def handle(self, event: Event) -> Reply:
        """Write an event; returns the reply to a `Ready`."""
        try:
            if not self.lost:
                return self._handle(event)
        except LostRun:
            self.lost = True
        return Leave() if isinstance(event, Ready) else None

    def _handle(self, event: Event) -> Reply:
        match event:
            case Ready(step):
                self.step = step
                reply = self._reply()
                return Leave() if self.released else reply
            case Ended(step, reason, detail, result):
                self._flush()
                self._retry(self.store.finish, self.run.id, self.name, step, reason, detail, result)
                self.ended = event
            case _:
                self._log(event)
        return None

    def _reply(self) -> Command | None:
        reply = super()._reply()
        if self.released:
            for _ in range(self.steps_allowed):
                self.store.command(self.run.id, "step")  # for the worker that takes the paused run
        return reply

    def poll_at_next_step(self) -> None:
        """Look for commands before the run's next step, and never between these calls."""
        if not (self.leaving or self.lost):
            self.polled = -math.inf

    def _poll_commands(self) -> None:
        super()._poll_commands()
        self.polled = math.inf

    def _pause(self) -> None:
        super()._pause()
        self.leaving = True


class BatchWorker:
    """Trains runs that `name` has claimed as one batch; all belong to one group of `batchable`.

    An error of the batch fails none of its runs, since one of them may be the cause: this worker keeps them,
    and after it is lost ordinary workers train them one by one.

    gone: set when the server has ended; all runs are saved and queued again.
    on_event: called with the id of a run and each of its events.
    """

    def __init__(
        self,
        store: Store,
        given: Sequence[Run],
        name: str,
        gone: threading.Event | None = None,
        on_event: Callable[[str, Event], None] = lambda run_id, event: None,
    ) -> None:
        self.store, self.name, self.on_event = store, name, on_event
        self.gone = gone or threading.Event()
        self.members = [BatchRun(store, run, name, self.gone) for run in given]
        self.done = threading.Event()
        self.polled = time.monotonic()

    def work(self) -> dict[str, Ended]:
        """Train until every run has ended, was paused, taken over or released; returns the endings by run id.

        Raises an error of the training; a run that is alone in its batch fails with it.
        """
        heartbeats = threading.Thread(target=send_heartbeats, args=(self._renew, self.done), daemon=True)
        heartbeats.start()
        try:
            self._train()
        except StoreError:
            raise  # cannot be written; the runs are recovered from their checkpoints
        except Exception as error:
            if len(self.members) == 1:
                self.store.fail(self.members[0].run.id, error_sentence(error), self.name)
            raise
        finally:
            self.done.set()
            heartbeats.join()
        return {member.run.id: member.ended for member in self.members if member.ended is not None}

    def _train(self) -> None:
        resume = [member.resume_point() for member in self.members]
        events = train_many([member.run.config for member in self.members], self.store.home, resume)
        reply: Reply = None
        while True:
            try:
                place, event = events.send(reply)
            except StopIteration:
                return
            member = self.members[place]
            self.on_event(member.run.id, event)
            if time.monotonic() - self.polled >= POLL_SECONDS:
                self._poll_commands()
            reply = member.handle(event)

    def _poll_commands(self) -> None:
        """Query once for all runs; only runs with a command read it."""
        ids = [member.run.id for member in self.members]
        query = select(commands.c.run_id).where(commands.c.run_id.in_(ids)).distinct()
        commanded = set(self.store.scalars(query))
        for member in self.members:
            if member.run.id in commanded or self.gone.is_set():
                member.poll_at_next_step()
        self.polled = time.monotonic()

    def _renew(self) -> None:
        """Send one heartbeat for all runs; each notices by itself when another worker took it over."""
        now = clock(self.store.engine)
        self.store.change(update(runs).where(runs.c.worker == self.name).values(heartbeat=now))


def claim_batch(store: Store, name: str, largest: int = LARGEST, *, anywhere: bool = False) -> list[Run]:
    """Claim the first queued run of a sweep that `is_batchable_here`, and all that fit into its batch.

    Empty if there is none. Skips runs that wait for a cluster or for the process that paused them, and runs
    with a dead last worker.
    """
    line = queue.ranked()
    query = select(runs).join(line, line.c.id == runs.c.id).where(queue.FOR_BATCH).order_by(line.c.nth)
    queued = [Run.of(row) for row in store.rows(query.limit(LOOKED_THROUGH))]
    fitting = [run for run in queued if is_batchable_here(run.config, anywhere=anywhere)]
    for group in batchable([run.config for run in fitting], largest):
        ids = [fitting[place].id for place in group]
        if claimed := [store.get(run_id) for run_id in ids if store.claim(run_id, name)]:
            return claimed
    return []


def is_batchable_here(config: RunConfig, *, anywhere: bool = False) -> bool:
    """Whether the run can be batched and trains on a GPU of this machine (or `anywhere`)."""
    automatic = config.device == "auto" and torch.cuda.is_available()
    return fits(config) and (anywhere or automatic or config.device.startswith("cuda"))


def main(home: Path, name: str, *, anywhere: bool) -> int:
    """Train batch after batch until no run is left for one, or the server has ended; returns an exit code.

    Ends after a batch if a single run of a user is queued: the supervisor decides what trains next.
    """
    one_thread()
    store, gone = Store(home), threading.Event()
    end_with_server(gone)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    code = NOTHING_TAKEN
    while not gone.is_set() and (batch := claim_batch(store, name, anywhere=anywhere)):
        code = 0
        BatchWorker(store, batch, name, gone).work()
        with store.engine.connect() as connection:
            if queue.has_interactive(connection):
                break
    return 0 if gone.is_set() else code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sparsecore.runs.workers.batch_worker")
    parser.add_argument("home", type=Path)
    parser.add_argument(
        "--name", default=f"batch:{uuid.uuid4().hex[:8]}", help="the worker that holds the runs"
    )
    parser.add_argument(ANYWHERE, dest="anywhere", action="store_true", help="runs of every device")
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    sys.exit(main(given.home, given.name, anywhere=given.anywhere))
