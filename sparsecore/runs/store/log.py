"""A run's log: rows appended in order and thinned evenly, so that a long run stays small and replays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from sparsecore.runs.store.tables import log


@dataclass(frozen=True)
class Limit:
    """The most rows and bytes of a kind before every other row is dropped; checked every `check` rows."""

    rows: int
    size: int
    check: int


MB = 1_000_000
# Together under 25 MB per run. Rows of other kinds are few and all kept.
LIMITS = {"frame": Limit(rows=600, size=18 * MB, check=1), "record": Limit(rows=4_000, size=4 * MB, check=64)}


@dataclass(frozen=True)
class LogEntry:
    """A new row: its kind (scene, frame, record or change), the step and the bytes."""

    kind: str
    step: int
    payload: bytes


def append(connection: Connection, run_id: str, entries: Sequence[LogEntry]) -> None:
    """Write the entries in order and thin the kinds that grew too large.

    Rows of a kind are numbered from 0. While they fit, all are kept; then every second row, then every
    fourth: the kept rows are spread evenly over the run. The newest is always kept, for the live view.
    """
    rows: dict[int, dict[str, Any]] = {}
    large: list[str] = []
    for kind in dict.fromkeys(entry.kind for entry in entries):
        places = [place for place, entry in enumerate(entries) if entry.kind == kind]
        first, stride = _after_newest(connection, run_id, kind)
        for nth, place in enumerate(places, first):
            if nth % stride == 0 or place == places[-1]:
                rows[place] = _row(run_id, entries[place], nth, stride)
        limit = LIMITS.get(kind)
        if limit is not None and (first + len(places) - 1) // limit.check > (first - 1) // limit.check:
            large.append(kind)
    if rows:
        connection.execute(insert(log), [rows[place] for place in sorted(rows)])
    for kind in large:
        while _thin(connection, run_id, kind, LIMITS[kind]):
            pass


def _after_newest(connection: Connection, run_id: str, kind: str) -> tuple[int, int]:
    """The next row number of a kind and its stride; drops a newest row that the stride does not keep."""
    query = select(log.c.id, log.c.nth, log.c.stride).where(log.c.run_id == run_id, log.c.kind == kind)
    newest = connection.execute(query.order_by(log.c.id.desc()).limit(1)).first()
    if newest is None:
        return 0, 1
    if newest.nth % newest.stride:
        connection.execute(delete(log).where(log.c.id == newest.id))
    return newest.nth + 1, newest.stride


def _row(run_id: str, entry: LogEntry, nth: int, stride: int) -> dict[str, Any]:
    numbers = {"step": entry.step, "nth": nth, "stride": stride, "size": len(entry.payload)}
    return {"run_id": run_id, "kind": entry.kind, "payload": entry.payload} | numbers


def _thin(connection: Connection, run_id: str, kind: str, limit: Limit) -> bool:
    """Drop every other row of a kind if there are too many; returns whether any was dropped."""
    of_kind = (log.c.run_id == run_id, log.c.kind == kind)
    query = select(func.count(), func.sum(log.c.size), func.max(log.c.nth), func.max(log.c.stride))
    rows, size, newest, stride = connection.execute(query.where(*of_kind)).one()
    if rows <= limit.rows and size <= limit.size:
        return False
    odd = (log.c.nth % (2 * stride) != 0, log.c.nth < newest)
    dropped = connection.execute(delete(log).where(*of_kind, *odd)).rowcount
    connection.execute(update(log).where(*of_kind, log.c.nth == newest).values(stride=2 * stride))
    return dropped > 0


def rewind(connection: Connection, run_id: str, step: int) -> None:
    """Drop the rows after a step."""
    connection.execute(delete(log).where(log.c.run_id == run_id, log.c.step > step))
