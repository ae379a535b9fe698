"""The queue: whose turn it is.

People take turns: of all who have something queued, the one whose last turn is longest ago comes next, with
the oldest of his runs. What a lesson or a first visit shows to everybody comes before all others, and a
sweep's runs after them, so that nobody waits for a sweep; among them the people whose sweeps they are take
turns in the same way.
"""

from __future__ import annotations

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

from sparsecore.runs.store.database import insert_or
from sparsecore.runs.store.run import FOR_ALL
from sparsecore.runs.store.tables import commands, runs, turns

SWEEP = "sweep"  # the origin of a run that a sweep asked for
CLUSTER = "ray:"  # how the names of a cluster's workers begin; a queued run with one waits for that cluster
# A sweep's run that nobody holds and whose last worker did not die: a batch may have been what killed it.
FOR_BATCH = and_(runs.c.origin == SWEEP, runs.c.worker.is_(None), runs.c.crashes == 0)
IS_FOR_ALL = runs.c.origin.in_(FOR_ALL)
RANK = case((IS_FOR_ALL, -1), (runs.c.origin == SWEEP, 1), else_=0)  # the smallest comes first

OWNER = func.coalesce(runs.c.owner, "")
ASKED = exists().where(commands.c.run_id == runs.c.id, commands.c.kind == "pause")
# What a run is in when its worker has let it go, or died before it heard what was asked of it.
LEFT = case((runs.c.state != "running", runs.c.state), (ASKED, "paused"), else_="queued")
# What waits for a cluster is a queue of its own; this one's runs have the empty name.
FOR = case((runs.c.worker.startswith(CLUSTER), runs.c.worker), else_="")


def line(*more: ColumnElement) -> Subquery:
    """Every queued run: `id`, `worker`, the queue it waits in (`for`), its place there (`nth`), and `more`.

    In the first round the owners go by their last turn, who never had one first, and of those who came
    first; in every further round in the same order again.
    """
    his = {"partition_by": (FOR, RANK, OWNER)}
    queued = (
        select(
            runs.c.id,
            runs.c.worker,
            FOR.label("for"),
            RANK.label("rank"),
            OWNER.label("owner"),
            func.row_number().over(**his, order_by=runs.c.place).label("round"),
            func.min(runs.c.place).over(**his).label("came"),
            *more,
        )
        .where(runs.c.state == "queued")
        .subquery()
    )
    column = queued.c
    order = (column.rank, column.round, func.coalesce(turns.c.at, 0), column.came)
    nth = func.row_number().over(partition_by=column["for"], order_by=order).label("nth")
    turn = and_(turns.c.owner == column.owner, turns.c.sweeps == column.rank)
    return select(queued, nth).outerjoin_from(queued, turns, turn).subquery()


def waiting(connection: Connection, limit: int | None = None) -> list[Row]:
    """Queued runs (id, worker, for_batch, for_all) in the order of training, without a cluster's."""
    queued = line(FOR_BATCH.label("for_batch"), IS_FOR_ALL.label("for_all"))
    columns = (queued.c[name] for name in ("id", "worker", "for_batch", "for_all"))
    query = select(*columns).where(queued.c["for"] == "")
    return list(connection.execute(query.order_by(queued.c.nth).limit(limit)))


def note_turn(connection: Connection, run_id: str, now: Any) -> None:
    """The run comes to its turn: whoever it belongs to is the last to have had one."""
    taken = select(OWNER, RANK, now if isinstance(now, ColumnElement) else literal(now))
    row = insert_or(connection, turns).from_select(
        ["owner", "sweeps", "at"], taken.where(runs.c.id == run_id)
    )
    connection.execute(row.on_conflict_do_update(index_elements=["owner", "sweeps"], set_={"at": now}))


def reserve(connection: Connection, ids: Sequence[str], cluster: str, now: Any) -> None:
    """Let these queued runs wait for a cluster of this name, for as long as it beats."""
    queued = (runs.c.id.in_(ids), runs.c.state == "queued")
    connection.execute(update(runs).where(*queued).values(worker=cluster, heartbeat=now))


def beat(connection: Connection, cluster: str, now: Any) -> None:
    """Say that the cluster still wants the runs that wait for it."""
    waiting = (runs.c.state == "queued", runs.c.worker == cluster)
    connection.execute(update(runs).where(*waiting).values(heartbeat=now))


def free(connection: Connection, cluster: str) -> None:
    """Let anybody train what waits for the cluster, or was stopped while it waited."""
    waiting = (runs.c.state.in_(("queued", "paused")), runs.c.worker == cluster)
    connection.execute(update(runs).where(*waiting).values(worker=None))


def is_obeyed(connection: Connection, run_id: str) -> None:
    """Who is paused need not be asked to pause any more."""
    paused = exists().where(runs.c.id == run_id, runs.c.state == "paused")
    asked = (commands.c.run_id == run_id, commands.c.kind == "pause")
    connection.execute(delete(commands).where(*asked, paused))


def place_of(connection: Connection, run_id: str) -> int | None:
    """1 for the next to be trained; None when the run is not queued."""
    queued = line()
    return connection.execute(select(queued.c.nth).where(queued.c.id == run_id)).scalar_one_or_none()


def has_people(connection: Connection) -> bool:
    """Whether a run waits for a core that no sweep asked for."""
    asked = (runs.c.state == "queued", runs.c.worker.is_(None), RANK == 0)
    return connection.execute(select(runs.c.id).where(*asked).limit(1)).first() is not None


def has_one_for_all(connection: Connection) -> bool:
    """Whether a run waits here that is for everybody."""
    waits = (runs.c.state == "queued", IS_FOR_ALL, FOR == "")
    return connection.execute(select(runs.c.id).where(*waits).limit(1)).first() is not None


def held_by(connection: Connection, worker: str) -> list[str]:
    """The runs that this worker holds."""
    mine = (runs.c.worker == worker, runs.c.state.in_(("queued", "running", "paused")))
    return list(connection.execute(select(runs.c.id).where(*mine).order_by(runs.c.place)).scalars())


def held(connection: Connection, workers: list[str]) -> dict[str, Row]:
    """What each of these workers holds: its run's id and state, and whether it is for all, by its name."""
    query = select(runs.c.worker, runs.c.id, runs.c.state, IS_FOR_ALL.label("for_all"))
    query = query.where(runs.c.worker.in_(workers), runs.c.state.in_(("queued", "running", "paused")))
    return {row.worker: row for row in connection.execute(query)}
