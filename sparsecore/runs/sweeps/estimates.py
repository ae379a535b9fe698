"""Estimates of time, from finished runs: the rest of a sweep, and the wait of a queued run."""

import heapq
import math
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Row, select

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import queue
from sparsecore.runs.store.run import IMPORT
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.runs.sweeps.spec import FINAL, FINISHED, Cell
from sparsecore.settings import usable_cores

SAMPLE = 500  # the newest finished runs of a task and size that are read
STARTING_SECONDS = 0.5  # per run, before its first step and after its last
# Only runs of at least this length give the seconds per step: in a run that collapsed at once most of the
# time is its start and end.
PACE_STEPS, PACE_SECONDS = 500, 30.0


@dataclass(frozen=True)
class Progress:
    """How many cells of a sweep have ended, are running or failed, and the seconds that the rest takes."""

    total: int
    done: int
    running: int
    failed: int
    seconds_left: float


@dataclass(frozen=True)
class FinishedRun:
    """The length of a finished run."""

    method: str
    density: float
    max_steps: int | None
    steps: int
    seconds: float

    @property
    def sets_pace(self) -> bool:
        return self.steps >= PACE_STEPS or self.seconds >= PACE_SECONDS


def remaining(cells: Sequence[Cell], workers: int = 1, known: Sequence[FinishedRun] = ()) -> float:
    """The seconds that `workers` need for the unfinished cells, by the finished cells and `known` runs."""
    unfinished = [cell for cell in cells if cell.status not in FINAL]
    if not unfinished:
        return 0.0  # without reading thousands of finished cells
    estimator = DurationEstimator([*_finished(cells), *known])
    return _makespan([_remaining(cell, estimator) for cell in unfinished], workers)


def progress(cells: Sequence[Cell], workers: int = 1, known: Sequence[FinishedRun] = ()) -> Progress:
    """Count these cells by status, and estimate the remaining time by the finished ones and `known` runs."""
    count = {status: sum(cell.status == status for cell in cells) for status in ("running", "failed")}
    done = sum(cell.status in FINISHED for cell in cells)
    return Progress(len(cells), done, count["running"], count["failed"], remaining(cells, workers, known))


def _finished(cells: Iterable[Cell]) -> list[FinishedRun]:
    ended = [(cell.config, cell.run) for cell in cells if cell.status in FINISHED and cell.run.result]
    return [FinishedRun(c.method, c.density, c.max_steps, r.step, r.result["seconds"]) for c, r in ended]


def finished_like(store: Store, like: RunConfig) -> list[FinishedRun]:
    """The newest finished runs of the same task and size, without those of other machines."""
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
        .limit(SAMPLE)
    )
    with store.engine.connect() as connection:
        return [FinishedRun(*row) for row in connection.execute(query) if row[-1] is not None]


@lru_cache(maxsize=32)
def _finished_lately(store: Store, task: str, size: str, period: int) -> list[FinishedRun]:
    return finished_like(store, RunConfig(task=task, size=size))


def recently_finished(store: Store, like: RunConfig) -> list[FinishedRun]:
    """As `finished_like`, read at most every `ESTIMATE_SECONDS` for all viewers."""
    return _finished_lately(store, like.task, like.size, int(time.monotonic() / ESTIMATE_SECONDS))


def _remaining(cell: Cell, estimator: "DurationEstimator") -> float:
    """The remaining seconds of an unfinished cell."""
    whole, run = estimator.seconds(cell.config), cell.run
    if run is not None and run.step and cell.config.max_steps:
        return whole * (1 - run.step / cell.config.max_steps)
    if cell.status == "running":
        return max(0.0, whole - (time.time() - run.started))
    return whole


class DurationEstimator:
    """Estimates the seconds of a run by the most similar finished runs.

    Among runs with the same method and step limit, the mean at the nearest density; else the seconds per step
    of all longer runs times the step limit; else a measured constant of the task and size.
    """

    def __init__(self, known: Sequence[FinishedRun]) -> None:
        self.by_density: dict[tuple[str, int | None], dict[float, list[float]]] = {}
        for run in known:
            densities = self.by_density.setdefault((run.method, run.max_steps), {})
            densities.setdefault(run.density, []).append(run.seconds)
        long = [run for run in known if run.sets_pace]
        steps = sum(run.steps for run in long)
        self.pace = sum(run.seconds for run in long) / steps if steps else None

    def seconds(self, config: RunConfig) -> float:
        """The seconds of a whole run with this config."""
        by_density = self.by_density.get((config.method, config.max_steps))
        if by_density:
            nearest = min(by_density, key=lambda density: abs(math.log(density / config.density)))
            return STARTING_SECONDS + sum(by_density[nearest]) / len(by_density[nearest])
        size = tasks()[config.task].sizes[config.size]
        return STARTING_SECONDS + (self.pace or size.seconds) * (config.max_steps or size.planned)


def _makespan(seconds: Sequence[float], workers: int) -> float:
    """The time until the last run has ended, spread over the workers."""
    return max(sum(seconds) / max(1, workers), max(seconds, default=0.0))


# -- The wait of a queued run


FRESH_SECONDS = 1.0  # all viewers share one look at the queue
ESTIMATE_SECONDS = 20.0  # and one estimate by finished runs
TEXT_FIELDS = ("task", "size", "method")
CONFIG_COLUMNS = (
    *(runs.c.config[name].as_string().label(name) for name in TEXT_FIELDS),
    runs.c.config["density"].as_float().label("density"),
    runs.c.config["max_steps"].as_integer().label("max_steps"),
    runs.c.step,
    queue.IS_SHARED.label("shared"),
)


@dataclass(frozen=True)
class QueueWait:
    """The position in the queue, 1 for the next run, and the seconds until it starts (None for a cluster)."""

    place: int
    seconds: float | None


class QueueWaits:
    """The waits of the queued runs of a store, read at most once a second for all viewers."""

    def __init__(self, store: Store, cores: int | None = None) -> None:
        self.store, self.cores = store, cores or usable_cores()
        self._waits: dict[str, QueueWait] = {}
        self._read_at = self._estimated_at = float("-inf")
        self._estimators: dict[tuple[str, str], DurationEstimator] = {}
        self._turn = threading.Lock()

    def of(self, run_id: str) -> QueueWait | None:
        """The wait of a queued run; None if it is not queued."""
        with self._turn:
            if time.monotonic() - self._read_at > FRESH_SECONDS or run_id not in self._waits:
                self._waits, self._read_at = self._read_queue(), time.monotonic()
            return self._waits.get(run_id)

    def _read_queue(self) -> dict[str, QueueWait]:
        line = queue.ranked(*CONFIG_COLUMNS)
        training = select(*CONFIG_COLUMNS).where(runs.c.state == "running", queue.QUEUE == "")
        with self.store.engine.connect() as connection:
            queued = list(connection.execute(select(line).order_by(line.c.nth)))
            running = list(connection.execute(training)) if queued else []
        here = [row for row in queued if not row.queue]
        # As in the supervisor: one shared run takes no core.
        shared = next((row for row in running if row.shared), None)
        taken = [self._remaining(row) for row in running if row is not shared]
        shared_free_at = 0.0 if shared is None else self._remaining(shared)
        lasts, first = [self._remaining(row) for row in here], sum(row.shared for row in here)
        begins = start_times(taken, lasts, self.cores, first, shared_free_at)
        seconds = {row.id: begin for row, begin in zip(here, begins, strict=True)}
        return {row.id: QueueWait(row.nth, seconds.get(row.id)) for row in queued}

    def _remaining(self, row: Row) -> float:
        """The remaining seconds of a run."""
        whole = self._estimator(row.task, row.size).seconds(row)
        return whole * max(0.0, 1 - row.step / row.max_steps) if row.max_steps else whole

    def _estimator(self, task: str, size: str) -> DurationEstimator:
        if time.monotonic() - self._estimated_at > ESTIMATE_SECONDS:
            self._estimators, self._estimated_at = {}, time.monotonic()
        if (task, size) not in self._estimators:
            like = RunConfig(task=task, size=size)
            self._estimators[task, size] = DurationEstimator(finished_like(self.store, like))
        return self._estimators[task, size]


def start_times(
    running: Sequence[float],
    queued: Sequence[float],
    cores: int,
    shared: int = 0,
    shared_free_at: float = 0.0,
) -> list[float]:
    """Return the seconds until each queued run starts on this number of cores, from each run's duration.

    The first `shared` queued runs are shared ones: one at a time trains in addition to the others, the next
    from `shared_free_at` on, when the running one has ended.

    >>> start_times(running=[5.0, 2.0], queued=[10.0, 1.0, 1.0], cores=2)
    [2.0, 5.0, 6.0]
    >>> start_times(running=[5.0, 2.0], queued=[9.0, 1.0, 1.0], cores=2, shared=2)
    [0.0, 2.0, 3.0]
    """
    free = [*running, *[0.0] * (cores - len(running))]
    heapq.heapify(free)
    begins = []
    for place, seconds in enumerate(queued):
        if place < shared and shared_free_at <= free[0]:
            begin, shared_free_at = shared_free_at, shared_free_at + seconds
        else:
            begin = heapq.heappop(free)
            heapq.heappush(free, begin + seconds)
        begins.append(begin)
    return begins
