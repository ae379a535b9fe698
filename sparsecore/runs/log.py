"""A run's log: rows appended in order, thinned evenly so that a long run stays small and can be replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from sparsecore.runs.tables import log


@dataclass(frozen=True)
class Limit:
    """How much of a kind is kept before every other row of it is dropped; looked at every `check` rows."""

    rows: int
    size: int
    check: int


MB = 1_000_000
# Together under 25 MB a run. Kinds not named here are few and all kept.
LIMITS = {"frame": Limit(rows=600, size=18 * MB, check=1), "record": Limit(rows=4_000, size=4 * MB, check=64)}


@dataclass(frozen=True)
class Entry:
    """One row to be: kind scene, frame, record or change; the step; the bytes."""

    kind: str
    step: int
    payload: bytes


def append(connection: Connection, run_id: str, entries: Sequence[Entry]) -> None:
    """Write the entries in order and thin what grew too large.

    Rows of a kind are numbered from 0. While they fit, all are kept; then every second one, then every
    fourth: those kept lie evenly over the whole run. The newest is always there, for the live view.
    """
    for entry in entries:
        of_kind = (log.c.run_id == run_id, log.c.kind == entry.kind)
        query = select(log.c.id, log.c.nth, log.c.stride).where(*of_kind).order_by(log.c.id.desc()).limit(1)
        newest = connection.execute(query).first()
        nth, stride = (0, 1) if newest is None else (newest.nth + 1, newest.stride)
        row = {"run_id": run_id, "kind": entry.kind, "step": entry.step, "nth": nth, "stride": stride}
        connection.execute(insert(log).values(**row, size=len(entry.payload), payload=entry.payload))
        if newest is not None and newest.nth % stride:
            connection.execute(delete(log).where(log.c.id == newest.id))
        limit = LIMITS.get(entry.kind)
        if limit is not None and nth % limit.check == 0:
            _thin(connection, run_id, entry.kind, limit, stride)


def _thin(connection: Connection, run_id: str, kind: str, limit: Limit, stride: int) -> None:
    of_kind = (log.c.run_id == run_id, log.c.kind == kind)
    query = select(func.count(), func.sum(log.c.size), func.max(log.c.nth)).where(*of_kind)
    rows, size, newest = connection.execute(query).one()
    if rows > limit.rows or size > limit.size:
        connection.execute(delete(log).where(*of_kind, log.c.nth % (2 * stride) != 0, log.c.nth < newest))
        connection.execute(update(log).where(*of_kind, log.c.nth == newest).values(stride=2 * stride))


def rewind(connection: Connection, run_id: str, step: int) -> None:
    """Drop the rows past a step."""
    connection.execute(delete(log).where(log.c.run_id == run_id, log.c.step > step))
