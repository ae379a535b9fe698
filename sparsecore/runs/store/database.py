"""The database under a store: SQLite in the home folder, or PostgreSQL named by `SPARSECORE_STORE`.

What differs between the two is here; the store's queries are the same on both.

A reader who follows a run asks for `log.id > after`. PostgreSQL numbers rows when they are written, not when
they are committed, so such a reader could pass over a row that is committed late. Within one run that cannot
happen: whoever writes to its log first updates the run's own row, in the same transaction, so that a second
writer waits there until the first has committed, and only then are its rows numbered. Ids of the log are
therefore compared within a run only. (SQLite has one writer at a time anyway.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import (
    DDL,
    URL,
    ColumnElement,
    Connection,
    Engine,
    NullPool,
    Table,
    create_engine,
    event,
    func,
    inspect,
    make_url,
)
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.sql.dml import Insert

from sparsecore.runs.store.errors import REOPENED, StoreError, of_sqlite
from sparsecore.runs.store.tables import DELETED, metadata, runs_by_deletion, settings
from sparsecore.settings import child_environment, default_home, read_setting

EXAMPLE = "postgresql+psycopg://user:password@host/database"
# Of a new file only: what is erased can be given back to the disk, page by page. Of another it is a write.
NEW_FILE = "auto_vacuum=INCREMENTAL"
PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "journal_size_limit=33554432")
BUSY_SECONDS = 30  # how long a writer waits for another process's write
TRIED_BUSY_SECONDS = 2  # and who only asks whether it could be
CONNECT_SECONDS = 5  # a server that does not answer for so long cannot be reached
TABLES_LOCK = 0x5BA12C0E  # any number that no other program on the server takes for its own lock
# A worker needs two connections (its training and its heartbeats), a server's threads a few more for
# moments; a PostgreSQL of the usual settings has 100 for all.
POSTGRESQL = {"pool_size": 2, "max_overflow": 8, "pool_pre_ping": True, "pool_use_lifo": True}
KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


def database_url(home: Path, given: str | None = None) -> URL:
    """The database of a store: the one given, else that of `SPARSECORE_STORE`, else SQLite under `home`.

    Raises StoreError for what is no address of a PostgreSQL database.

    >>> database_url(Path("/home"), "postgresql://ann@db/lab").render_as_string()
    'postgresql+psycopg://ann@db/lab'
    """
    address = given or read_setting("store")
    if not address:
        return URL.create("sqlite+pysqlite", database=str(home / "store.sqlite3"))
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            f"SPARSECORE_STORE is no address of a database; one looks like {EXAMPLE}."
        ) from error
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise StoreError(
            f"SPARSECORE_STORE names a database of {url.drivername}; it must be PostgreSQL, as in {EXAMPLE}. "
            "Without it the store is SQLite, in the folder that SPARSECORE_HOME names."
        )
    return url.set(drivername="postgresql+psycopg")


def open_database(url: URL, told: Callable[[StoreError], None] = lambda error: None) -> Engine:
    """The database with its tables, made if need be. Raises StoreError when it cannot be used.

    told: called with every StoreError that the engine raises from then on.
    """
    engine = _sqlite(url, told) if url.get_backend_name() == "sqlite" else _postgresql(url)
    with engine.connect() as connection:
        one_at_a_time(connection)  # of all processes that open a new database, one makes its tables
        metadata.create_all(connection)
        _bring_up_to_date(connection)
        connection.commit()
    return engine


def is_shared(url: URL) -> bool:
    """Whether other machines can open the database too."""
    return url.get_backend_name() != "sqlite"


def environment(home: Path, url: URL) -> dict[str, str]:
    """The environment of a child process that opens the same database under the same home."""
    return child_environment(home, url.render_as_string(hide_password=False) if is_shared(url) else "")


def clock(engine: Engine) -> float | ColumnElement[float]:
    """Now, in seconds since the epoch, by the one clock that all processes of a store share.

    That is the machine's for SQLite, and the server's for PostgreSQL: heartbeats of several machines are
    compared, whose own clocks may differ by more than the patience with a silent worker.
    """
    if engine.dialect.name == "sqlite":
        return time.time()
    return func.date_part("epoch", func.clock_timestamp())


def insert_or(engine: Engine | Connection, table: Table) -> Insert:
    """An insertion that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    dialect = import_module(f"sqlalchemy.dialects.{engine.dialect.name}")
    return dialect.insert(table)


def try_writing(url: URL, told: Callable[[StoreError], None] = lambda error: None) -> None:
    """Write to a SQLite database now; raises StoreError when that cannot be done at once."""
    engine = _sqlite(url, told, timeout=TRIED_BUSY_SECONDS, poolclass=NullPool)
    with engine.begin() as connection:
        row = insert_or(connection, settings).values(name="tried", value=time.time())
        changed = {"value": row.excluded.value}
        connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=changed))


def _sqlite(
    url: URL, told: Callable[[StoreError], None], timeout: float | None = None, **options: Any
) -> Engine:
    engine = create_engine(url, connect_args={"timeout": timeout or BUSY_SECONDS}, **options)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "handle_error", partial(_say_unusable, url.database, told))
    return engine


def _say_unusable(place: str, told: Callable[[StoreError], None], context: ExceptionContext) -> None:
    """What is wrong with the file becomes one sentence; an error in a statement stays."""
    error = of_sqlite(context.original_exception, place)
    if error is not None:
        context.is_disconnect = context.is_disconnect or error.kind in REOPENED
        told(error)
        raise error from context.original_exception


def _prepare(connection: Any, _record: Any) -> None:
    """SQLite: readers never wait for the writer; a crash of the process loses nothing committed."""
    cursor = connection.cursor()
    is_new = cursor.execute("PRAGMA page_count").fetchone() == (0,)
    for pragma in (NEW_FILE, *PRAGMAS) if is_new else PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _postgresql(url: URL) -> Engine:
    asked = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "utf8", **KEEPALIVE}
    try:
        engine = create_engine(url, connect_args=asked | dict(url.query), **POSTGRESQL)
    except ModuleNotFoundError as error:
        raise StoreError(
            "SPARSECORE_STORE names a PostgreSQL database, which needs psycopg: "
            "pip install -r requirements-cluster.txt."
        ) from error
    runs_by_deletion.dialect_options["postgresql"]["where"] = DELETED
    event.listen(engine, "handle_error", partial(_say_unreachable, url))
    return engine


def _say_unreachable(url: URL, context: ExceptionContext) -> None:
    """A lost or refused connection becomes one sentence, without the password; other errors stay."""
    refused = context.connection is None and isinstance(context.sqlalchemy_exception, OperationalError)
    # The pool's own ping of an old connection is no failure: it opens another.
    if not context.is_pre_ping and (refused or context.is_disconnect):
        where = url.set(query={}).render_as_string(hide_password=True)
        why = str(context.original_exception).strip().splitlines()[0].rstrip(".:")
        raise StoreError(f"the database {where} cannot be reached: {why}.") from context.original_exception


def _bring_up_to_date(connection: Connection) -> None:
    """Columns and indexes that a store of an older version lacks; a new column may hold NULL."""
    found, quote = inspect(connection), connection.dialect.identifier_preparer.quote
    for table in metadata.sorted_tables:
        there = {column["name"] for column in found.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                kind = column.type.compile(connection.dialect)
                connection.execute(
                    DDL(f"ALTER TABLE {quote(table.name)} ADD COLUMN {quote(column.name)} {kind}")
                )
        known = {index["name"] for index in found.get_indexes(table.name)}
        for index in sorted(table.indexes, key=lambda index: index.name):
            if index.name not in known:
                index.create(connection)


def one_at_a_time(connection: Connection) -> None:
    """Until the transaction, which must not have begun, ends, other processes wait here."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(func.pg_advisory_xact_lock(TABLES_LOCK).select())


# -- The database of a store: opened when it is first needed, anew when it had to be, and what ails it


TOLD_SECONDS = 15.0  # what is wrong is told for so long after it was last met


class Opening:
    """The home folder and the database of a store. Raises StoreError where the folder cannot be made."""

    def __init__(self, home: Path | None = None, url: str | None = None) -> None:
        self.home = home or default_home()
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError.of_kind("readonly", str(self.home)) from error
        self.url = database_url(self.home, url)
        self._met: StoreError | None = None
        self._met_at = 0.0

    @cached_property
    def engine(self) -> Engine:
        return open_database(self.url, self._meet)

    def close(self) -> None:
        """Let go of the database's files, or of its connections."""
        if "engine" in self.__dict__:  # not to open what never was
            self.engine.dispose()

    def _now(self) -> Any:
        return clock(self.engine)

    def _meet(self, error: StoreError) -> None:
        """Remember what is wrong; a file that has to be opened anew is, when it is needed next."""
        self._met, self._met_at = error, time.monotonic()
        if error.kind in REOPENED:
            self.__dict__.pop("engine", None)

    @property
    def trouble(self) -> StoreError | None:
        """What this process found wrong with a SQLite store in the last moments."""
        return self._met if time.monotonic() - self._met_at < TOLD_SECONDS else None

    def try_writing(self) -> None:
        """Find out whether a SQLite store can be written to at once; raises `StoreError` if not."""
        if not is_shared(self.url):
            try_writing(self.url, self._meet)
            self._met = None
