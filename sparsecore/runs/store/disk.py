"""Disk space of the store, and the removal of its oldest runs that are not pinned."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Row, and_, delete, func, literal, or_, select
from sqlalchemy.exc import OperationalError

from sparsecore.runs.store import saved_state
from sparsecore.runs.store.catalogue import allowed
from sparsecore.runs.store.database import StoreError
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import checkpoints, log, metadata, runs

ROW_BYTES = 64  # a row of the log without its payload, with its two indexes
PAGES_PER_TRANSACTION = 1_000  # so that workers never wait for more than this
FILES = ("", "-wal")  # of a SQLite database
ERASABLE = ("ended", "failed")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DiskUsage:
    """Bytes that the store takes on the disk, and bytes of these that `shrink` would free."""

    used: int
    free: int

    @property
    def occupied(self) -> int:
        return self.used - self.free


@dataclass(frozen=True)
class RemovalPlan:
    """The runs to remove, with their bytes, so that the store takes at most `target` bytes."""

    usage: DiskUsage
    target: int
    runs: tuple[tuple[Run, int], ...]

    @property
    def after(self) -> int:
        """About how many bytes the store takes afterwards."""
        return max(0, self.usage.occupied - sum(size for _, size in self.runs))

    @property
    def enough(self) -> bool:
        return self.after <= self.target


def usage(store: Store) -> DiskUsage:
    """The disk space of the store now, with its state files; for PostgreSQL that of tables and indexes."""
    with store.engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            sizes = (func.pg_total_relation_size(func.to_regclass(table)) for table in metadata.tables)
            return DiskUsage(sum(connection.execute(select(size)).scalar_one() for size in sizes), 0)
        pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
        occupied = pages * _pragma(connection, "page_size")
    files = (Path(f"{store.url.database}{end}") for end in FILES)
    used = sum(file.stat().st_size for file in files if file.exists())
    free = max(0, used - occupied)  # the write-ahead log holds some pages a second time
    needed, removable = saved_state.sizes(store)
    return DiskUsage(used + sum(needed.values()) + removable, free + removable)


def plan_removal(store: Store, target: int, by: Person = HOST) -> RemovalPlan:
    """Choose the runs to remove: deleted ones first, then the user's oldest finished ones.

    Queued, running, paused and pinned runs stay. `enough` says whether that reaches the target.
    """
    now, (files, _) = usage(store), saved_state.sizes(store)
    left, chosen = now.occupied, []
    with store.engine.connect() as connection:
        for row in _erasable(connection, by):
            if left <= target:
                break
            size = _bytes_of(connection, row.id) + files.get(row.id, 0)
            chosen.append((Run.of(row), size))
            left -= size
    return RemovalPlan(now, target, tuple(chosen))


def prune(
    store: Store,
    run_ids: Sequence[str],
    by: Person = HOST,
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Erase these runs for good and shrink the store; returns how many were erased.

    A run that was pinned or resumed meanwhile stays. Raises StoreError if the file could not be shrunk.
    """
    erased = 0
    for place, run_id in enumerate(run_ids):
        if cancelled():
            break
        erased += store.change(delete(runs).where(runs.c.id == run_id, _REMOVABLE, allowed(by)))
        progress(place, len(run_ids))
    shrink(store)
    progress(len(run_ids), len(run_ids))
    return erased


def shrink(store: Store) -> None:
    """Return free pages to the file system. Raises StoreError."""
    saved_state.tidy(store)
    try:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if connection.dialect.name != "sqlite":
                connection.exec_driver_sql("VACUUM FULL log, checkpoints, runs")
            else:
                _shrink_file(connection)
    except (OperationalError, sqlite3.OperationalError) as error:
        why = getattr(error, "orig", error)
        raise StoreError(f"the store could not be made smaller: {why}.") from error


_REMOVABLE = or_(
    runs.c.deleted.is_not(None),
    and_(runs.c.state.in_(ERASABLE), runs.c.pinned.is_not(True)),
)


def _erasable(connection: Connection, by: Person) -> Iterator[Row]:
    order = (runs.c.deleted.is_(None), runs.c.place)
    query = select(runs).where(_REMOVABLE, allowed(by)).order_by(*order)
    yield from connection.execute(query, execution_options={"yield_per": 100})


def _bytes_of(connection: Connection, run_id: str) -> int:
    rows = literal(ROW_BYTES) * func.count() + func.coalesce(func.sum(log.c.size), 0)
    logged = connection.execute(select(rows).where(log.c.run_id == run_id)).scalar_one()
    saved = select(func.coalesce(func.sum(func.length(checkpoints.c.payload)), 0))
    return int(logged + connection.execute(saved.where(checkpoints.c.run_id == run_id)).scalar_one())


def _shrink_file(connection: Connection) -> None:
    """Page by page; a file of an older version as a whole, once."""
    if _pragma(connection, "auto_vacuum") == 2:
        cursor = connection.connection.cursor()  # SQLAlchemy would run only the first step of this statement
        while _pragma(connection, "freelist_count"):
            cursor.execute(f"PRAGMA incremental_vacuum({PAGES_PER_TRANSACTION})").fetchall()
        cursor.close()
    else:
        connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
        connection.exec_driver_sql("VACUUM")
    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()


def _pragma(connection: Connection, name: str) -> int:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
