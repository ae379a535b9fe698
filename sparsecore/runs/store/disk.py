"""How much disk the store takes, and which runs go when it should take less: the oldest not pinned."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Row, and_, delete, func, literal, or_, select
from sqlalchemy.exc import OperationalError

from sparsecore.runs.store import unsaved
from sparsecore.runs.store.database import StoreError
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.shelf import allowed
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import checkpoints, log, metadata, runs
from sparsecore.settings import read_setting

ROW_BYTES = 64  # of a row of the log beside its payload, with its two indexes
PAGES_AT_ONCE = 1_000  # given back in one transaction: who trains waits for no more than that
FILES = ("", "-wal")  # of a SQLite database
ERASABLE = ("ended", "failed")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Disk:
    """Bytes: what the store takes on the disk, and how much of that it would give back if asked to."""

    used: int
    free: int

    @property
    def occupied(self) -> int:
        return self.used - self.free


@dataclass(frozen=True)
class Plan:
    """The runs that would go, with their bytes, so that the store takes at most `target` bytes."""

    disk: Disk
    target: int
    going: tuple[tuple[Run, int], ...]

    @property
    def after(self) -> int:
        """About what the store takes then."""
        return max(0, self.disk.occupied - sum(size for _, size in self.going))

    @property
    def enough(self) -> bool:
        return self.after <= self.target


def limit() -> int | None:
    """The bytes that the store should take at most; None without a limit. Raises SettingError."""
    return read_setting("max_disk")


def disk(store: Store) -> Disk:
    """What the store takes now, with the states in files beside it.

    That of PostgreSQL is the size of its tables with their indexes.
    """
    with store.engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            sizes = (func.pg_total_relation_size(func.to_regclass(table)) for table in metadata.tables)
            return Disk(sum(connection.execute(select(size)).scalar_one() for size in sizes), 0)
        pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
        occupied = pages * _pragma(connection, "page_size")
    files = (Path(f"{store.url.database}{end}") for end in FILES)
    used = sum(file.stat().st_size for file in files if file.exists())
    free = max(0, used - occupied)  # the write-ahead log holds some pages a second time
    kept, left = unsaved.sizes(store)
    return Disk(used + sum(kept.values()) + left, free + left)


def plan(store: Store, target: int, by: Person = HOST) -> Plan:
    """Which runs would go: those deleted already, then the oldest of the person's that are over.

    None that is queued, trains, is paused or pinned. What cannot be reached so is told by `enough`.
    """
    now, (files, _) = disk(store), unsaved.sizes(store)
    left, going = now.occupied, []
    with store.engine.connect() as connection:
        for row in _erasable(connection, by):
            if left <= target:
                break
            size = _bytes_of(connection, row.id) + files.get(row.id, 0)
            going.append((Run.of(row), size))
            left -= size
    return Plan(now, target, tuple(going))


def prune(
    store: Store,
    run_ids: Sequence[str],
    by: Person = HOST,
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Erase these runs for good and give their disk back; gives how many went.

    One that was pinned or begun again meanwhile stays. Raises StoreError where the file could not be made
    smaller.
    """
    gone = 0
    for place, run_id in enumerate(run_ids):
        if cancelled():
            break
        with store.engine.begin() as connection:
            query = delete(runs).where(runs.c.id == run_id, _MAY_GO, allowed(by))
            gone += connection.execute(query).rowcount
        progress(place, len(run_ids))
    shrink(store)
    progress(len(run_ids), len(run_ids))
    return gone


def shrink(store: Store) -> None:
    """Give back to the disk what the store does not need. Raises StoreError where it cannot."""
    unsaved.tidy(store)
    try:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if connection.dialect.name != "sqlite":
                connection.exec_driver_sql("VACUUM FULL log, checkpoints, runs")
            else:
                _shrink_file(connection)
    except (OperationalError, sqlite3.OperationalError) as error:
        why = getattr(error, "orig", error)
        raise StoreError(f"the store could not be made smaller: {why}.") from error


_MAY_GO = or_(
    runs.c.deleted.is_not(None),
    and_(runs.c.state.in_(ERASABLE), runs.c.pinned.is_not(True)),
)


def _erasable(connection: Connection, by: Person) -> Iterator[Row]:
    order = (runs.c.deleted.is_(None), runs.c.place)
    query = select(runs).where(_MAY_GO, allowed(by)).order_by(*order)
    yield from connection.execute(query, execution_options={"yield_per": 100})


def _bytes_of(connection: Connection, run_id: str) -> int:
    rows = literal(ROW_BYTES) * func.count() + func.coalesce(func.sum(log.c.size), 0)
    logged = connection.execute(select(rows).where(log.c.run_id == run_id)).scalar_one()
    saved = select(func.coalesce(func.sum(func.length(checkpoints.c.payload)), 0))
    return int(logged + connection.execute(saved.where(checkpoints.c.run_id == run_id)).scalar_one())


def _shrink_file(connection: Connection) -> None:
    """Page by page, or, the first time in a file of an older version, as a whole."""
    if _pragma(connection, "auto_vacuum") == 2:
        cursor = connection.connection.cursor()  # SQLAlchemy takes it for a statement without steps
        while _pragma(connection, "freelist_count"):
            cursor.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
        cursor.close()
    else:
        connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
        connection.exec_driver_sql("VACUUM")
    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()


def _pragma(connection: Connection, name: str) -> int:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
