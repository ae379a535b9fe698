"""The database under a store: SQLite in the home folder, or PostgreSQL named by `SPARSECORE_STORE`.

All differences between the two are here; the store's queries are the same on both.

A reader that follows a run selects `log.id > after`. PostgreSQL numbers rows when they are written, not when
they are committed, so such a reader could miss a row that is committed late. Within one run that cannot
happen: a writer first updates the run's own row, in the same transaction, so a second writer waits there
until the first has committed, and its rows are numbered after that. Compare ids of the log within one run
only. (SQLite has one writer at a time anyway.)
"""

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
    Row,
    Select,
    Table,
    create_engine,
    event,
    func,
    inspect,
    make_url,
)
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.sql.dml import Delete, Insert, Update

from sparsecore.runs.store.errors import NEEDS_REOPENING, StoreError, from_sqlite
from sparsecore.runs.store.tables import DELETED, metadata, runs_by_deletion, settings
from sparsecore.settings import child_environment, default_home, read_setting

EXAMPLE = "postgresql+psycopg://user:password@host/database"
# Only for a new file: it lets `shrink` return pages one by one. In an existing file it would be a write.
NEW_FILE = "auto_vacuum=INCREMENTAL"
PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "journal_size_limit=33554432")
BUSY_SECONDS = 30  # how long a writer waits for another process
PROBE_BUSY_SECONDS = 2  # how long `try_writing` waits
CONNECT_SECONDS = 5  # after this the server counts as unreachable
TABLES_LOCK = 0x5BA12C0E  # an arbitrary number that no other program on the server uses for a lock
# A worker needs two connections (training and heartbeats), the threads of a server a few more at times;
# PostgreSQL allows 100 in all by default.
POSTGRESQL = {"pool_size": 2, "max_overflow": 8, "pool_pre_ping": True, "pool_use_lifo": True}
KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


def database_url(home: Path, given: str | None = None) -> URL:
    """The address of a store's database: `given`, else `SPARSECORE_STORE`, else SQLite under `home`.

    Raises StoreError for an address that is not a PostgreSQL database's.

    >>> database_url(Path("/home"), "postgresql://ann@db/lab").render_as_string()
    'postgresql+psycopg://ann@db/lab'
    """
    address = given or read_setting("store")
    if not address:
        return URL.create("sqlite+pysqlite", database=str(home / "store.sqlite3"))
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"SPARSECORE_STORE is not a database address such as {EXAMPLE}.") from error
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise StoreError(
            f"SPARSECORE_STORE names a {url.drivername} database; it must be PostgreSQL, such as {EXAMPLE}. "
            "Without it the store is SQLite, in the folder that SPARSECORE_HOME names."
        )
    return url.set(drivername="postgresql+psycopg")


def is_networked(url: URL) -> bool:
    """Whether other machines can open the database."""
    return url.get_backend_name() != "sqlite"


def store_environment(home: Path, url: URL) -> dict[str, str]:
    """The environment of a child process that opens the same database under the same home."""
    return child_environment(home, url.render_as_string(hide_password=False) if is_networked(url) else "")


def clock(engine: Engine) -> float | ColumnElement[float]:
    """Now, in seconds since the epoch, by the clock that all processes of a store share.

    It is the machine's for SQLite and the server's for PostgreSQL: the clocks of several machines may differ
    by more than `LOST_SECONDS`, and their heartbeats are compared.
    """
    if engine.dialect.name == "sqlite":
        return time.time()
    return func.date_part("epoch", func.clock_timestamp())


def upsert(engine: Engine | Connection, table: Table) -> Insert:
    """An insertion with `on_conflict_do_nothing` and `on_conflict_do_update`, in the database's dialect."""
    dialect = import_module(f"sqlalchemy.dialects.{engine.dialect.name}")
    return dialect.insert(table)


def set_value(engine: Engine | Connection, name: str, value: Any) -> Insert:
    """The statement that sets a setting of the store."""
    row = upsert(engine, settings).values(name=name, value=value)
    return row.on_conflict_do_update(index_elements=["name"], set_={"value": value})


def _sqlite(
    url: URL, on_error: Callable[[StoreError], None], timeout: float | None = None, **options: Any
) -> Engine:
    engine = create_engine(url, connect_args={"timeout": timeout or BUSY_SECONDS}, **options)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "handle_error", partial(_raise_unusable, url.database, on_error))
    return engine


def _raise_unusable(place: str, on_error: Callable[[StoreError], None], context: ExceptionContext) -> None:
    """Raise a StoreError for a broken file; other errors pass."""
    error = from_sqlite(context.original_exception, place)
    if error is not None:
        context.is_disconnect = context.is_disconnect or error.kind in NEEDS_REOPENING
        on_error(error)
        raise error from context.original_exception


def _prepare(connection: Any, _record: Any) -> None:
    """Set up a SQLite connection: readers never wait for the writer, and a crash loses no commit."""
    cursor = connection.cursor()
    is_new = cursor.execute("PRAGMA page_count").fetchone() == (0,)
    for pragma in (NEW_FILE, *PRAGMAS) if is_new else PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _postgresql(url: URL) -> Engine:
    options = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "utf8", **KEEPALIVE}
    try:
        engine = create_engine(url, connect_args=options | dict(url.query), **POSTGRESQL)
    except ModuleNotFoundError as error:
        raise StoreError(
            "SPARSECORE_STORE names a PostgreSQL database, which needs psycopg: "
            "pip install -r requirements-cluster.txt."
        ) from error
    runs_by_deletion.dialect_options["postgresql"]["where"] = DELETED
    event.listen(engine, "handle_error", partial(_raise_unreachable, url))
    return engine


def _raise_unreachable(url: URL, context: ExceptionContext) -> None:
    """Raise a StoreError for a lost or refused connection, without the password; other errors pass."""
    refused = context.connection is None and isinstance(context.sqlalchemy_exception, OperationalError)
    # A failed ping of the pool is no error: the pool opens another connection.
    if not context.is_pre_ping and (refused or context.is_disconnect):
        where = url.set(query={}).render_as_string(hide_password=True)
        why = str(context.original_exception).strip().splitlines()[0].rstrip(".:")
        raise StoreError(f"the database {where} cannot be reached: {why}.") from context.original_exception


def _bring_up_to_date(connection: Connection) -> None:
    """Add the columns and indexes that a store of an older version lacks; new columns may hold NULL."""
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


def lock_tables(connection: Connection) -> None:
    """Begin a transaction that only one process at a time may hold; the others wait here."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(func.pg_advisory_xact_lock(TABLES_LOCK).select())


# -- The database of a store


TROUBLE_SECONDS = 15.0  # how long `trouble` shows an error after it last occurred


class StoreDatabase:
    """The home folder and database of a store, opened at first use and reopened after a broken connection.

    Raises StoreError if the folder cannot be created.
    """

    def __init__(self, home: Path | None = None, url: str | None = None) -> None:
        self.home = home or default_home()
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError.of_kind("readonly", str(self.home)) from error
        self.url = database_url(self.home, url)
        self._last_error: StoreError | None = None
        self._last_error_at = 0.0

    @cached_property
    def engine(self) -> Engine:
        """The database, with all tables. Raises StoreError."""
        engine = _postgresql(self.url) if is_networked(self.url) else _sqlite(self.url, self._note_error)
        with engine.connect() as connection:
            lock_tables(connection)  # one process creates the tables, if several open a new database
            metadata.create_all(connection)
            _bring_up_to_date(connection)
            connection.commit()
        return engine

    def close(self) -> None:
        """Close the database's files or connections."""
        if "engine" in self.__dict__:  # else there is nothing to close
            self.engine.dispose()

    def rows(self, query: Select) -> list[Row]:
        """All rows of a query."""
        with self.engine.connect() as connection:
            return list(connection.execute(query))

    def first(self, query: Select) -> Row | None:
        """The first row of a query; None if it has none."""
        with self.engine.connect() as connection:
            return connection.execute(query).first()

    def scalars(self, query: Select) -> list[Any]:
        """The first column of a query."""
        return [row[0] for row in self.rows(query)]

    def change(self, statement: Insert | Update | Delete) -> int:
        """Run a statement in a transaction of its own; returns how many rows it changed."""
        with self.engine.begin() as connection:
            return connection.execute(statement).rowcount

    def _now(self) -> Any:
        return clock(self.engine)

    def _note_error(self, error: StoreError) -> None:
        """Remember an error; a broken connection is opened anew at the next use."""
        self._last_error, self._last_error_at = error, time.monotonic()
        if error.kind in NEEDS_REOPENING:
            self.__dict__.pop("engine", None)

    @property
    def trouble(self) -> StoreError | None:
        """The last error of a SQLite store in this process, as long as it is recent."""
        return self._last_error if time.monotonic() - self._last_error_at < TROUBLE_SECONDS else None

    def try_writing(self) -> None:
        """Write to a SQLite store now. Raises StoreError if that is not possible at once."""
        if not is_networked(self.url):
            engine = _sqlite(self.url, self._note_error, timeout=PROBE_BUSY_SECONDS, poolclass=NullPool)
            with engine.begin() as connection:
                connection.execute(set_value(connection, "tried", time.time()))
            self._last_error = None
