"""The queue: a round-robin over owners, in three ranks.

The owner with the least recent turn comes next, with their oldest queued run.
Shared runs (of a lesson, or of a first visit) come before all others and runs of sweeps after them, so that
no user waits for a sweep. Within each rank the owners take turns in the same way.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Subquery,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.engine import Row

from sparsecore.runs.store.database import upsert
from sparsecore.runs.store.run import SHARED_ORIGINS
from sparsecore.runs.store.tables import commands, runs, turns

SWEEP = "sweep"  # the origin of a run of a sweep
CLUSTER = "ray:"  # the prefix of a cluster's workers; a queued run with such a worker waits for that cluster
# A sweep's run without a worker that did not die: a batch may have been the cause.
FOR_BATCH = and_(runs.c.origin == SWEEP, runs.c.worker.is_(None), runs.c.crashes == 0)
IS_SHARED = runs.c.origin.in_(SHARED_ORIGINS)
RANK = case((IS_SHARED, -1), (runs.c.origin == SWEEP, 1), else_=0)  # ascending

OWNER = func.coalesce(runs.c.owner, "")
PAUSE_PENDING = exists().where(commands.c.run_id == runs.c.id, commands.c.kind == "pause")
# The state of a run that its worker released, or left when it died before it obeyed a pause.
AFTER_RELEASE = case((runs.c.state != "running", runs.c.state), (PAUSE_PENDING, "paused"), else_="queued")
# Every cluster has a queue of its own, with its name; this server's queue has the empty name.
QUEUE = case((runs.c.worker.startswith(CLUSTER), runs.c.worker), else_="")


def ranked(*more: ColumnElement) -> Subquery:
    """Every queued run: `id`, `worker`, its `queue`, its position there (`nth`), and `more`.

    In every round the owners are ordered by their last turn, those without one first, and then by the arrival
    of their oldest run.
    """
    own = {"partition_by": (QUEUE, RANK, OWNER)}
    queued = (
        select(
            runs.c.id,
            runs.c.worker,
            QUEUE.label("queue"),
            RANK.label("rank"),
            OWNER.label("owner"),
            func.row_number().over(**own, order_by=runs.c.place).label("round"),
            func.min(runs.c.place).over(**own).label("arrival"),
            *more,
        )
        .where(runs.c.state == "queued")
        .subquery()
    )
    column = queued.c
    order = (column.rank, column.round, func.coalesce(turns.c.at, 0), column.arrival)
    nth = func.row_number().over(partition_by=column.queue, order_by=order).label("nth")
    turn = and_(turns.c.owner == column.owner, turns.c.sweeps == column.rank)
    return select(queued, nth).outerjoin_from(queued, turns, turn).subquery()


def waiting(connection: Connection, limit: int | None = None) -> list[Row]:
    """Queued runs (id, worker, for_batch, shared) of this server, in the order of training."""
    queued = ranked(FOR_BATCH.label("for_batch"), IS_SHARED.label("shared"))
    columns = (queued.c[name] for name in ("id", "worker", "for_batch", "shared"))
    query = select(*columns).where(queued.c.queue == "")
    return list(connection.execute(query.order_by(queued.c.nth).limit(limit)))


def note_turn(connection: Connection, run_id: str, now: Any) -> None:
    """Note that the owner of this run had a turn now."""
    taken = select(OWNER, RANK, now if isinstance(now, ColumnElement) else literal(now))
    row = upsert(connection, turns).from_select(["owner", "sweeps", "at"], taken.where(runs.c.id == run_id))
    connection.execute(row.on_conflict_do_update(index_elements=["owner", "sweeps"], set_={"at": now}))


def reserve(connection: Connection, ids: Sequence[str], cluster: str, now: Any) -> None:
    """Let these queued runs wait for a cluster, as long as it sends heartbeats."""
    queued = (runs.c.id.in_(ids), runs.c.state == "queued")
    connection.execute(update(runs).where(*queued).values(worker=cluster, heartbeat=now))


def heartbeat(connection: Connection, cluster: str, now: Any) -> None:
    """Renew the reservation of the runs that wait for the cluster."""
    waiting = (runs.c.state == "queued", runs.c.worker == cluster)
    connection.execute(update(runs).where(*waiting).values(heartbeat=now))


def unreserve(connection: Connection, cluster: str) -> None:
    """Return the runs that wait for the cluster, or were paused while they waited, to the common queue."""
    waiting = (runs.c.state.in_(("queued", "paused")), runs.c.worker == cluster)
    connection.execute(update(runs).where(*waiting).values(worker=None))


def drop_fulfilled_pause(connection: Connection, run_id: str) -> None:
    """Drop a pending pause command of a run that is paused."""
    paused = exists().where(runs.c.id == run_id, runs.c.state == "paused")
    pending = (commands.c.run_id == run_id, commands.c.kind == "pause")
    connection.execute(delete(commands).where(*pending, paused))


def has_interactive(connection: Connection) -> bool:
    """Whether a single run of a user waits for a core."""
    single = (runs.c.state == "queued", runs.c.worker.is_(None), RANK == 0)
    return connection.execute(select(runs.c.id).where(*single).limit(1)).first() is not None


def has_shared(connection: Connection) -> bool:
    """Whether a shared run waits in this server's queue."""
    waits = (runs.c.state == "queued", IS_SHARED, QUEUE == "")
    return connection.execute(select(runs.c.id).where(*waits).limit(1)).first() is not None


def run_ids_of(connection: Connection, worker: str) -> list[str]:
    """The ids of the runs that this worker holds."""
    own = (runs.c.worker == worker, runs.c.state.in_(("queued", "running", "paused")))
    return list(connection.execute(select(runs.c.id).where(*own).order_by(runs.c.place)).scalars())


def runs_of(connection: Connection, workers: list[str]) -> dict[str, Row]:
    """The run of each of these workers, by the worker's name: its id and state, and whether it is shared."""
    query = select(runs.c.worker, runs.c.id, runs.c.state, IS_SHARED.label("shared"))
    query = query.where(runs.c.worker.in_(workers), runs.c.state.in_(("queued", "running", "paused")))
    return {row.worker: row for row in connection.execute(query)}
