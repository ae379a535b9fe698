"""A look at a run every few milliseconds, from outside: when it was saved, and how far it had come."""

from __future__ import annotations

import contextlib
import threading
import time

from sqlalchemy import select

from sparsecore.runs.store.run import ACTIVE
from sparsecore.runs.store.saved_state import HEAD_BYTES, StateFiles
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import checkpoints, runs

LOOK_SECONDS = 0.01


class Watch(threading.Thread):
    """Notes when the run's checkpoint was last replaced, and which workers had the run.

    saved_at: by `time.monotonic`, when a new checkpoint was first seen; None until the first.
    workers: the names of the workers that were seen to hold the run, each once, in order.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        super().__init__(daemon=True)
        self.store, self.run_id = store, run_id
        self.ending = threading.Event()
        self.saved = self.step = 0
        self.saved_at: float | None = None
        self.began_at: float | None = None  # by the same clock, the present worker's first sign of training
        self.workers: list[str] = []
        self.ended = False

    def run(self) -> None:
        saved = select(checkpoints.c.step).where(checkpoints.c.run_id == self.run_id).scalar_subquery()
        query = select(runs.c.step, runs.c.worker, runs.c.state, saved.label("saved")).where(
            runs.c.id == self.run_id
        )
        while not self.ending.wait(LOOK_SECONDS):
            with self.store.engine.connect() as connection:
                row = connection.execute(query).one()
            now = time.monotonic()
            if row.worker and row.worker not in self.workers:
                self.workers.append(row.worker)
                self.began_at, self.step = None, row.step
            if row.step > max(self.step, 0) and self.began_at is None:
                self.began_at = now
            self.step, self.ended = row.step, row.state not in ACTIVE
            newest = max([row.saved or 0, *self._kept()])
            if newest > self.saved:
                self.saved, self.saved_at = newest, now

    def _kept(self) -> list[int]:
        """The steps of the states in files that are whole."""
        heads = []
        for place in StateFiles(self.store, self.run_id).paths:
            with contextlib.suppress(FileNotFoundError), place.open("rb") as file:
                heads.append(file.read(HEAD_BYTES))
        return [int.from_bytes(head[8:], "little") for head in heads if any(head)]

    def unsaved(self, now: float) -> float:
        """Seconds of training by the run's present worker that no checkpoint holds."""
        since = [at for at in (self.saved_at, self.began_at) if at is not None]
        return now - max(since) if self.began_at is not None else 0.0

    def end(self) -> None:
        """Stop looking."""
        self.ending.set()
        self.join()
