"""The batch worker: trains several runs of a sweep as one, and writes each one's log as if it were alone.

As a process, `python -m sparsecore.runs.workers.batch_worker HOME`, it takes one batch after another from
the queue until none is left or its standard input closes. It takes runs whose device is CUDA, where one large
operation costs little more than a small one; with `--anywhere` those of every device, for tests: on a CPU a
worker a core is the better way. What it does not take is left to ordinary workers.
"""

from __future__ import annotations

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
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import HEARTBEAT_SECONDS, LostRun, Store
from sparsecore.runs.store.tables import commands, runs
from sparsecore.runs.workers.orders import end_with_server
from sparsecore.runs.workers.warm_up import NICENESS
from sparsecore.runs.workers.worker import POLL_SECONDS, Worker, one_thread, sentence

FLUSH_SECONDS = 2.0  # a transaction costs a run's step; sixty of them every half second cost as many steps


class Member(Worker):
    """One run of a batch: written and obeyed as by its own worker, but it keeps nobody waiting.

    A run that is paused leaves the batch at once, saved; what it is told from then on, an ordinary worker
    does. So does a run that was taken over or deleted.
    """

    flush_seconds = FLUSH_SECONDS
    ended: Ended | None = None
    is_lost = False

    def begin(self) -> Checkpoint | None:
        """Where the run goes on from; what it logged later is dropped."""
        resume = self._sure(self._last_checkpoint)
        try:
            self._sure(self.store.rewind, self.run.id, self.name, resume.step if resume else -1)
        except LostRun:
            self.is_lost = True
        return resume

    def tell(self, event: Event) -> Reply:
        """Write what an event says; the answer to a `Ready`."""
        try:
            if not self.is_lost:
                return self._tell(event)
        except LostRun:
            self.is_lost = True
        return Leave() if isinstance(event, Ready) else None

    def _tell(self, event: Event) -> Reply:
        match event:
            case Ready(step):
                self.step = step
                reply = self._reply()
                return Leave() if self.released else reply
            case Ended(step, reason, detail, result):
                self._flush()
                self._sure(self.store.finish, self.run.id, self.name, step, reason, detail, result)
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

    def hear(self) -> None:
        """Look for commands now; between these calls none is looked for."""
        if not (self.leaving or self.is_lost):
            self._hear()

    def _hear(self) -> None:
        super()._hear()
        self.polled = math.inf

    def _pause(self) -> None:
        super()._pause()
        self.leaving = True


class BatchWorker:
    """Runs, claimed by `name`, that this process trains as one. They are of one group of `batchable`.

    None is told of an error that may be another's: they stay this worker's, and once it is missed ordinary
    workers train them one by one.

    gone: set when they are to be let go (the server has ended): all are saved and queued again.
    listen: called with every event and the id of its run.
    """

    def __init__(
        self,
        store: Store,
        given: Sequence[Run],
        name: str,
        gone: threading.Event | None = None,
        listen: Callable[[str, Event], None] = lambda run_id, event: None,
    ) -> None:
        self.store, self.name, self.listen = store, name, listen
        self.gone = gone or threading.Event()
        self.members = [Member(store, run, name, self.gone) for run in given]
        self.done = threading.Event()
        self.polled = time.monotonic()

    def work(self) -> dict[str, Ended]:
        """Train until each has ended, was paused or taken over, or all are let go; the endings, by run.

        What makes training impossible is raised; one that trained by itself is told of it.
        """
        beating = threading.Thread(target=self._beat, daemon=True)
        beating.start()
        try:
            self._train()
        except StoreError:
            raise  # nobody can be told; the runs go on from their checkpoints when they are missed
        except Exception as error:
            if len(self.members) == 1:
                self.store.fail(self.members[0].run.id, sentence(error), self.name)
            raise
        finally:
            self.done.set()
            beating.join()
        return {member.run.id: member.ended for member in self.members if member.ended is not None}

    def _train(self) -> None:
        resume = [member.begin() for member in self.members]
        events = train_many([member.run.config for member in self.members], self.store.home, resume)
        reply: Reply = None
        while True:
            try:
                place, event = events.send(reply)
            except StopIteration:
                return
            member = self.members[place]
            self.listen(member.run.id, event)
            if time.monotonic() - self.polled >= POLL_SECONDS:
                self._hear()
            reply = member.tell(event)

    def _hear(self) -> None:
        """One question to the store for all; only who was given a command looks closer."""
        ids = [member.run.id for member in self.members]
        query = select(commands.c.run_id).where(commands.c.run_id.in_(ids)).distinct()
        with self.store.engine.connect() as connection:
            called = set(connection.execute(query).scalars())
        for member in self.members:
            if member.run.id in called or self.gone.is_set():
                member.hear()
        self.polled = time.monotonic()

    def _beat(self) -> None:
        """One heartbeat for all: each finds out by itself when it is no longer this worker's."""
        while not self.done.wait(HEARTBEAT_SECONDS):
            beat = update(runs).where(runs.c.worker == self.name)
            try:
                with self.store.engine.begin() as connection:
                    connection.execute(beat.values(heartbeat=clock(self.store.engine)))
            except StoreError:
                continue  # the training meets it too, unless the database is back by then


def train_batches(
    store: Store,
    run_ids: Sequence[str],
    name: str,
    gone: threading.Event | None = None,
    listen: Callable[[str, Event], None] = lambda run_id, event: None,
    *,
    anywhere: bool = False,
) -> dict[str, Ended]:
    """Claim those of these queued runs that `in_batch` takes, and train them; the endings, by run.

    As many batches as they need, one after the other. A run that another worker claimed first is left to it.
    """
    gone = gone or threading.Event()
    found = [run for run_id in run_ids if (run := store.get(run_id)) is not None]
    given = [run for run in found if in_batch(run.config, anywhere=anywhere)]
    endings: dict[str, Ended] = {}
    for group in batchable([run.config for run in given]):
        claimed = [] if gone.is_set() else _claim(store, [given[place] for place in group], name)
        if claimed:
            endings |= BatchWorker(store, claimed, name, gone, listen).work()
    return endings


def take(store: Store, name: str, largest: int = LARGEST, *, anywhere: bool = False) -> list[Run]:
    """Claim the first queued run of a sweep that `in_batch` takes, and with it all that fit beside it.

    Empty when there is none. Left alone is what waits for a cluster, or for a process that paused it, and a
    run whose last worker died.
    """
    line = queue.ranked()
    query = select(runs).join(line, line.c.id == runs.c.id).where(queue.FOR_BATCH).order_by(line.c.nth)
    with store.engine.connect() as connection:
        queued = [Run.of(row) for row in connection.execute(query.limit(LOOKED_THROUGH))]
    fitting = [run for run in queued if in_batch(run.config, anywhere=anywhere)]
    for group in batchable([run.config for run in fitting], largest):
        if claimed := _claim(store, [fitting[place] for place in group], name):
            return claimed
    return []


def in_batch(config: RunConfig, *, anywhere: bool = False) -> bool:
    """Whether the run is to be one of a batch here: it can be, and its device is a GPU (or `anywhere`)."""
    automatic = config.device == "auto" and torch.cuda.is_available()
    return fits(config) and (anywhere or automatic or config.device.startswith("cuda"))


def _claim(store: Store, queued: Sequence[Run], name: str) -> list[Run]:
    return [store.get(run.id) for run in queued if store.claim(run.id, name)]


def main(home: Path, name: str, *, anywhere: bool) -> int:
    """Train batch after batch until no run is left that a batch takes, or the server is gone; an exit code.

    It ends after a batch when a run waits that no sweep asked for: whose turn it is the supervisor says.
    """
    one_thread()
    store, gone = Store(home), threading.Event()
    end_with_server(gone)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    code = NOTHING_TAKEN
    while not gone.is_set() and (batch := take(store, name, anywhere=anywhere)):
        code = 0
        BatchWorker(store, batch, name, gone).work()
        with store.engine.connect() as connection:
            if queue.has_interactive(connection):
                break
    return 0 if gone.is_set() else code


def _arguments() -> argparse.Namespace:
    asked = argparse.ArgumentParser(prog="python -m sparsecore.runs.workers.batch_worker")
    asked.add_argument("home", type=Path)
    asked.add_argument("--name", default=f"batch:{uuid.uuid4().hex[:8]}", help="who holds the runs")
    asked.add_argument(ANYWHERE, dest="anywhere", action="store_true", help="runs of every device")
    return asked.parse_args()


if __name__ == "__main__":
    given = _arguments()
    sys.exit(main(given.home, given.name, anywhere=given.anywhere))
