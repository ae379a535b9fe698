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
    Column("owner", String(32)),  # whose it is: a digest of a browser's token; NULL for nobody's
    # NULL in a store of an older version, as for a run that nobody has named, pinned or deleted.
    Column("name", String(80)),
    Column("note", Text),
    Column("pinned", Boolean),
    Column("deleted", Float),  # when it was taken off every list; it is erased some minutes later
    Column("deleted_state", String(8)),  # the state it had then
    Index("runs_by_owner", "owner", "state"),
    # Only of the few deleted runs: no query may look up in an index that the others are not deleted.
    # `open_database` gives PostgreSQL the same condition; to name it here would load that dialect for SQLite.
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
    # A viewer asks for rows past an id: one must never come again. PostgreSQL's never do.
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
    Column("cells", JSON, nullable=False),  # the digests of its runs' configs
    Column("state", String(8), nullable=False, index=True),
    Column("origin", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("owner", String(32)),
    Index("sweeps_by_owner", "owner"),
)

turns = Table(  # when a person's run last came to its turn: the queue goes round by it
    "turns",
    metadata,
    Column("owner", String(32), primary_key=True),  # empty for what belongs to nobody
    Column("sweeps", Integer, primary_key=True),  # 1 for the turns of sweeps, -1 of what is for everybody
    Column("at", Float, nullable=False),
)

entries = Table(  # of the challenge: runs that the server has judged by their weights
    "entries",
    metadata,
    Column("run_id", _run_id(), primary_key=True),
    Column("task", String(16), nullable=False, index=True),
    Column("owner", String(32)),  # whose entry it is
    Column("name", String(60), nullable=False),
    Column("nonzeros", Integer, nullable=False),
    Column("value", Float, nullable=False),  # the judge's metric
    Column("created", Float, nullable=False),
)

guesses = Table(  # what a person thought before a lesson's run; the first answer stays
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
