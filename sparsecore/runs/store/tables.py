"""The tables of the store."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()
DELETED = text("deleted IS NOT NULL")


def _run_id() -> ForeignKey:
    return ForeignKey("runs.id", ondelete="CASCADE")


runs = Table(
    "runs",
    metadata,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("id", String(12), unique=True, nullable=False),
    Column("config", JSON, nullable=False),
    Column("digest", String(16), nullable=False, index=True),
    Column("origin", String(16), nullable=False),
    Column("state", String(8), nullable=False, index=True),
    Column("worker", String(64)),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    Column("heartbeat", Float),
    Column("crashes", Integer, nullable=False, default=0),
    Column("step", Integer, nullable=False, default=0),
    Column("reason", String(12)),
    Column("detail", JSON),
    Column("result", JSON),
    Column("error", Text),
    Column("owner", String(32)),  # a digest of the token in the owner's browser; NULL without an owner
    # NULL in a store of an older version, and for a run without a name, note, pin or deletion.
    Column("name", String(80)),
    Column("note", Text),
    Column("pinned", Boolean),
    Column("deleted", Float),  # the time of deletion; the run is erased some minutes later
    Column("deleted_state", String(8)),  # the state before the deletion
    Index("runs_by_owner", "owner", "state"),
    # Only over the few deleted runs: an index over all would tempt queries to scan it for NULL.
    # `open_database` gives PostgreSQL the same condition; naming it here would load that dialect for SQLite.
    runs_by_deletion := Index("runs_by_deletion", "deleted", sqlite_where=DELETED),
)

log = Table(
    "log",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("run_id", _run_id(), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("step", Integer, nullable=False),
    Column("nth", Integer, nullable=False),
    Column("stride", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("log_by_run", "run_id", "kind", "id"),
    # Viewers read the rows past an id, so no id may be used twice. PostgreSQL never does.
    sqlite_autoincrement=True,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("run_id", _run_id(), primary_key=True),
    Column("step", Integer, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)

commands = Table(
    "commands",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", _run_id(), nullable=False, index=True),
    Column("kind", String(8), nullable=False),
    Column("values", JSON, nullable=False),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("id", String(12), unique=True, nullable=False),
    Column("digest", String(16), unique=True, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("cells", JSON, nullable=False),  # the digests of the configs of its runs
    Column("state", String(8), nullable=False, index=True),
    Column("origin", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("owner", String(32)),
    Index("sweeps_by_owner", "owner"),
)

turns = Table(  # when a run of each owner was last started: the queue is round-robin over owners
    "turns",
    metadata,
    Column("owner", String(32), primary_key=True),  # empty without an owner
    Column("sweeps", Integer, primary_key=True),  # the rank: 1 sweeps, 0 single runs, -1 shared runs
    Column("at", Float, nullable=False),
)

entries = Table(  # challenge entries: runs that the server has evaluated by their weights
    "entries",
    metadata,
    Column("run_id", _run_id(), primary_key=True),
    Column("task", String(16), nullable=False, index=True),
    Column("owner", String(32)),
    Column("name", String(60), nullable=False),
    Column("nonzeros", Integer, nullable=False),
    Column("value", Float, nullable=False),  # the metric that the server measured
    Column("created", Float, nullable=False),
)

guesses = Table(  # each user's answer before a lesson's run; the first answer counts
    "guesses",
    metadata,
    Column("lesson", String(32), primary_key=True),
    Column("owner", String(32), primary_key=True),
    Column("choice", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Index("guesses_by_owner", "owner"),
)

settings = Table(
    "settings",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", JSON, nullable=False),
)
