"""The queue: whose turn it is. A sweep's runs come after all others, so that nobody waits for a sweep."""

from __future__ import annotations

from sqlalchemy import Connection, case, func, select, tuple_
from sqlalchemy.engine import Row

from sparsecore.runs.tables import runs

SWEEP = "sweep"  # the origin of a run that a sweep asked for
LAST = case((runs.c.origin == SWEEP, 1), else_=0)


def waiting(connection: Connection, limit: int | None = None) -> list[Row]:
    """Queued runs (id, worker) in the order in which they are trained."""
    query = select(runs.c.id, runs.c.worker).where(runs.c.state == "queued").order_by(LAST, runs.c.place)
    return list(connection.execute(query.limit(limit)))


def place_of(connection: Connection, run_id: str) -> int | None:
    """1 for the next to be trained; None when the run is not queued."""
    query = select(runs.c.place, LAST.label("last")).where(runs.c.id == run_id, runs.c.state == "queued")
    mine = connection.execute(query).first()
    if mine is None:
        return None
    sooner = tuple_(LAST, runs.c.place) <= tuple_(mine.last, mine.place)
    count = select(func.count()).where(runs.c.state == "queued", sooner)
    return connection.execute(count).scalar_one()


def held(connection: Connection, workers: list[str]) -> dict[str, Row]:
    """What each of these workers holds: its run's id and state, by the worker's name."""
    query = select(runs.c.worker, runs.c.id, runs.c.state).where(runs.c.worker.in_(workers))
    query = query.where(runs.c.state.in_(("queued", "running", "paused")))
    return {row.worker: row for row in connection.execute(query)}
