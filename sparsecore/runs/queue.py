"""The queue: whose turn it is. A sweep's runs come after all others, so that nobody waits for a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, case, func, select, tuple_, update
from sqlalchemy.engine import Row

from sparsecore.runs.tables import runs

SWEEP = "sweep"  # the origin of a run that a sweep asked for
CLUSTER = "ray:"  # how the names of a cluster's workers begin; a queued run with one waits for that cluster
# A sweep's run that nobody holds and whose last worker did not die: a batch may have been what killed it.
FOR_BATCH = and_(runs.c.origin == SWEEP, runs.c.worker.is_(None), runs.c.crashes == 0)
LAST = case((runs.c.origin == SWEEP, 1), else_=0)


def waiting(connection: Connection, limit: int | None = None) -> list[Row]:
    """Queued runs (id, worker, for_batch) in the order of training; none that waits for a cluster."""
    free = runs.c.worker.is_(None) | ~runs.c.worker.startswith(CLUSTER)
    query = select(runs.c.id, runs.c.worker, FOR_BATCH.label("for_batch"))
    query = query.where(runs.c.state == "queued", free)
    return list(connection.execute(query.order_by(LAST, runs.c.place).limit(limit)))


def reserve(connection: Connection, ids: Sequence[str], cluster: str, now: Any) -> None:
    """Let these queued runs wait for a cluster of this name, for as long as it beats."""
    queued = (runs.c.id.in_(ids), runs.c.state == "queued")
    connection.execute(update(runs).where(*queued).values(worker=cluster, heartbeat=now))


def beat(connection: Connection, cluster: str, now: Any) -> None:
    """Say that the cluster still wants the runs that wait for it."""
    waiting = (runs.c.state == "queued", runs.c.worker == cluster)
    connection.execute(update(runs).where(*waiting).values(heartbeat=now))


def free(connection: Connection, cluster: str) -> None:
    """Let anybody train what waits for the cluster."""
    waiting = (runs.c.state == "queued", runs.c.worker == cluster)
    connection.execute(update(runs).where(*waiting).values(worker=None))


def place_of(connection: Connection, run_id: str) -> int | None:
    """1 for the next to be trained; None when the run is not queued."""
    query = select(runs.c.place, LAST.label("last")).where(runs.c.id == run_id, runs.c.state == "queued")
    mine = connection.execute(query).first()
    if mine is None:
        return None
    sooner = tuple_(LAST, runs.c.place) <= tuple_(mine.last, mine.place)
    count = select(func.count()).where(runs.c.state == "queued", sooner)
    return connection.execute(count).scalar_one()


def has_people(connection: Connection) -> bool:
    """Whether a run waits that no sweep asked for."""
    asked = (runs.c.state == "queued", runs.c.worker.is_(None), runs.c.origin != SWEEP)
    return connection.execute(select(runs.c.id).where(*asked).limit(1)).first() is not None


def held_by(connection: Connection, worker: str) -> list[str]:
    """The runs that this worker holds."""
    mine = (runs.c.worker == worker, runs.c.state.in_(("queued", "running", "paused")))
    return list(connection.execute(select(runs.c.id).where(*mine).order_by(runs.c.place)).scalars())


def held(connection: Connection, workers: list[str]) -> dict[str, Row]:
    """What each of these workers holds: its run's id and state, by the worker's name."""
    query = select(runs.c.worker, runs.c.id, runs.c.state).where(runs.c.worker.in_(workers))
    query = query.where(runs.c.state.in_(("queued", "running", "paused")))
    return {row.worker: row for row in connection.execute(query)}
