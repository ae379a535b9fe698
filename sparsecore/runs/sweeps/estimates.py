"""How long a sweep takes, judged by runs that have ended, and how far it is."""

from __future__ import annotations

import heapq
import math
import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, select

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import queue
from sparsecore.runs.store.run import IMPORT
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.runs.sweeps.spec import FINAL, FINISHED, Cell

LOOKED_AT = 500  # the newest finished runs of a task and size say enough of its pace
STARTING_SECONDS = 0.5  # of a run, before its first step and after its last
# A run sets the pace of others once its steps, or the time they took, outweigh its start and end: one that
# collapsed at once would make every step as long as those.
PACE_STEPS, PACE_SECONDS = 500, 30.0


@dataclass(frozen=True)
class Progress:
    """How many of a sweep's cells have ended, train, or failed, and the seconds that the rest will take."""

    total: int
    done: int
    running: int
    failed: int
    seconds_left: float


@dataclass(frozen=True)
class Finished:
    """What a run that has ended says about others."""

    method: str
    density: float
    max_steps: int | None
    steps: int
    seconds: float

    @property
    def sets_pace(self) -> bool:
        return self.steps >= PACE_STEPS or self.seconds >= PACE_SECONDS


def remaining(cells: Sequence[Cell], workers: int = 1, known: Sequence[Finished] = ()) -> float:
    """The seconds that so many workers need for the cells that have not ended.

    Judged by the cells that have, and by other finished runs that are `known`.
    """
    unfinished = [cell for cell in cells if cell.status not in FINAL]
    if not unfinished:
        return 0.0  # and nothing to be learnt from thousands that have ended
    guess = Guess([*_finished(cells), *known])
    return _spread([_left(cell, guess) for cell in unfinished], workers)


def progress(cells: Sequence[Cell], workers: int = 1) -> Progress:
    """How far these cells are; the time left is judged by those among them that have ended."""
    count = {status: sum(cell.status == status for cell in cells) for status in ("running", "failed")}
    done = sum(cell.status in FINISHED for cell in cells)
    return Progress(len(cells), done, count["running"], count["failed"], remaining(cells, workers))


def _finished(cells: Iterable[Cell]) -> list[Finished]:
    found = []
    for cell in cells:
        config, run = cell.config, cell.run
        if cell.status in FINISHED and run.result:
            known = Finished(config.method, config.density, config.max_steps, run.step, run.result["seconds"])
            found.append(known)
    return found


def finished_like(store: Store, like: RunConfig) -> list[Finished]:
    """The newest finished runs of the same task and size; not those of other machines."""
    config, result = runs.c.config, runs.c.result
    query = (
        select(
            config["method"].as_string(),
            config["density"].as_float(),
            config["max_steps"].as_integer(),
            runs.c.step,
            result["seconds"].as_float(),
        )
        .where(runs.c.state == "ended", runs.c.reason.in_(("converged", "collapsed", "max_steps")))
        .where(
            runs.c.origin != IMPORT,
            runs.c.deleted.is_(None),
            config["task"].as_string() == like.task,
            config["size"].as_string() == like.size,
        )
        .order_by(runs.c.place.desc())
        .limit(LOOKED_AT)
    )
    with store.engine.connect() as connection:
        return [Finished(*row) for row in connection.execute(query) if row[-1] is not None]


def _left(cell: Cell, guess: Guess) -> float:
    """The seconds that an unfinished cell still takes."""
    whole, run = guess.seconds(cell.config), cell.run
    if run is not None and run.step and cell.config.max_steps:
        return whole * (1 - run.step / cell.config.max_steps)
    if cell.status == "running":
        return max(0.0, whole - (time.time() - run.started))
    return whole


class Guess:
    """The seconds that a run will take: those of the finished runs that are most like it.

    Of the same method and limit of steps, the mean of those of the nearest density; else the pace of any of
    them that took more than a few steps, as if all steps up to the limit were taken; else a measured constant
    of the task and size.
    """

    def __init__(self, known: Sequence[Finished]) -> None:
        self.alike: dict[tuple[str, int | None], dict[float, list[float]]] = {}
        for run in known:
            densities = self.alike.setdefault((run.method, run.max_steps), {})
            densities.setdefault(run.density, []).append(run.seconds)
        long = [run for run in known if run.sets_pace]
        steps = sum(run.steps for run in long)
        self.pace = sum(run.seconds for run in long) / steps if steps else None

    def seconds(self, config: RunConfig) -> float:
        """What a run of this config takes in all."""
        alike = self.alike.get((config.method, config.max_steps))
        if alike:
            nearest = min(alike, key=lambda density: abs(math.log(density / config.density)))
            return STARTING_SECONDS + sum(alike[nearest]) / len(alike[nearest])
        size = tasks()[config.task].sizes[config.size]
        return STARTING_SECONDS + (self.pace or size.seconds) * (config.max_steps or size.planned)


def _spread(seconds: Sequence[float], workers: int) -> float:
    """The time until the last of them is done, shared by so many workers."""
    return max(sum(seconds) / max(1, workers), max(seconds, default=0.0))


# -- How long a queued run waits: its place, and when one of the server's cores will come to it


FRESH_SECONDS = 1.0  # all who watch a queued run share one look at the queue
PACE_SECONDS = 20.0  # and for longer what finished runs say of the pace
OF_CONFIG = ("task", "size", "method")
CONFIG = (
    *(runs.c.config[name].as_string().label(name) for name in OF_CONFIG),
    runs.c.config["density"].as_float().label("density"),
    runs.c.config["max_steps"].as_integer().label("max_steps"),
    runs.c.step,
    queue.IS_SHARED.label("shared"),
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
        line = queue.ranked(*CONFIG)
        training = select(*CONFIG).where(runs.c.state == "running", queue.QUEUE == "")
        with self.store.engine.connect() as connection:
            queued = list(connection.execute(select(line).order_by(line.c.nth)))
            running = list(connection.execute(training)) if queued else []
        here = [row for row in queued if not row.queue]
        # As the supervisor reckons: of those for all one takes no core.
        beside = next((row for row in running if row.shared), None)
        taken = [self._left(row) for row in running if row is not beside]
        over = 0.0 if beside is None else self._left(beside)
        lasts, first = [self._left(row) for row in here], sum(row.shared for row in here)
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
