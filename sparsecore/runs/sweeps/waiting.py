"""How long a queued run waits: its place, and when one of the server's cores will come to it."""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row, select

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import queue
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.runs.sweeps.estimates import Guess, finished_like

FRESH_SECONDS = 1.0  # all who watch a queued run share one look at the queue
PACE_SECONDS = 20.0  # and for longer what finished runs say of the pace
OF_CONFIG = ("task", "size", "method")
CONFIG = (
    *(runs.c.config[name].as_string().label(name) for name in OF_CONFIG),
    runs.c.config["density"].as_float().label("density"),
    runs.c.config["max_steps"].as_integer().label("max_steps"),
    runs.c.step,
    queue.IS_FOR_ALL.label("for_all"),
)


@dataclass(frozen=True)
class Wait:
    """1 for the next to be trained; `seconds` until then, None for a run that waits for a cluster."""

    place: int
    seconds: float | None


class Waits:
    """The waits of a store's queued runs, looked up at most once a second however many ask."""

    def __init__(self, store: Store, cores: int | None = None) -> None:
        self.store, self.cores = store, cores or os.cpu_count() or 1
        self._known: dict[str, Wait] = {}
        self._since = self._paced = float("-inf")
        self._guesses: dict[tuple[str, str], Guess] = {}
        self._turn = threading.Lock()

    def of(self, run_id: str) -> Wait | None:
        """The wait of a queued run; None when it is not queued."""
        with self._turn:
            if time.monotonic() - self._since > FRESH_SECONDS or run_id not in self._known:
                self._known, self._since = self._look(), time.monotonic()
            return self._known.get(run_id)

    def _look(self) -> dict[str, Wait]:
        line = queue.line(*CONFIG)
        training = select(*CONFIG).where(runs.c.state == "running", queue.FOR == "")
        with self.store.engine.connect() as connection:
            queued = list(connection.execute(select(line).order_by(line.c.nth)))
            running = list(connection.execute(training)) if queued else []
        here = [row for row in queued if not row._mapping["for"]]
        # As the supervisor reckons: of those for all one takes no core.
        beside = next((row for row in running if row.for_all), None)
        taken = [self._left(row) for row in running if row is not beside]
        over = 0.0 if beside is None else self._left(beside)
        lasts, first = [self._left(row) for row in here], sum(row.for_all for row in here)
        begins = starts(taken, lasts, self.cores, first, over)
        seconds = {row.id: begin for row, begin in zip(here, begins, strict=True)}
        return {row.id: Wait(row.nth, seconds.get(row.id)) for row in queued}

    def _left(self, row: Row) -> float:
        """The seconds that a run still trains."""
        whole = self._guess(row.task, row.size).seconds(row)
        return whole * max(0.0, 1 - row.step / row.max_steps) if row.max_steps else whole

    def _guess(self, task: str, size: str) -> Guess:
        if time.monotonic() - self._paced > PACE_SECONDS:
            self._guesses, self._paced = {}, time.monotonic()
        if (task, size) not in self._guesses:
            like = RunConfig(task=task, size=size)
            self._guesses[task, size] = Guess(finished_like(self.store, like))
        return self._guesses[task, size]


def starts(
    running: Sequence[float], queued: Sequence[float], cores: int, for_all: int = 0, beside: float = 0.0
) -> list[float]:
    """When each queued run begins, on so many cores, from the seconds that each run takes.

    The first `for_all` of them are for everybody: one at a time they train beside the others, from when the
    one that does so now, for `beside` seconds more, has ended.

    >>> starts(running=[5.0, 2.0], queued=[10.0, 1.0, 1.0], cores=2)
    [2.0, 5.0, 6.0]
    >>> starts(running=[5.0, 2.0], queued=[9.0, 1.0, 1.0], cores=2, for_all=2)
    [0.0, 2.0, 3.0]
    """
    free = [*running, *[0.0] * (cores - len(running))]
    heapq.heapify(free)
    begins = []
    for place, seconds in enumerate(queued):
        if place < for_all and beside <= free[0]:
            begin, beside = beside, beside + seconds
        else:
            begin = heapq.heappop(free)
            heapq.heappush(free, begin + seconds)
        begins.append(begin)
    return begins
