"""The tables of the store."""

import sqlalchemy as sa

metadata = sa.MetaData()
DELETED = sa.text("deleted IS NOT NULL")


def _run_id() -> sa.ForeignKey:
    return sa.ForeignKey("runs.id", ondelete="CASCADE")


runs = sa.Table(
    "runs",
    metadata,
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(12), unique=True, nullable=False),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("digest", sa.String(16), nullable=False, index=True),
    sa.Column("origin", sa.String(16), nullable=False),
    sa.Column("state", sa.String(8), nullable=False, index=True),
    sa.Column("worker", sa.String(64)),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.Column("heartbeat", sa.Float),
    sa.Column("crashes", sa.Integer, nullable=False, default=0),
    sa.Column("step", sa.Integer, nullable=False, default=0),
    sa.Column("reason", sa.String(12)),
    sa.Column("detail", sa.JSON),
    sa.Column("result", sa.JSON),
    sa.Column("error", sa.Text),
    sa.Column("owner", sa.String(32)),  # a digest of the token in the owner's browser; NULL without an owner
    # NULL in a store of an older version, and for a run without a name, note, pin or deletion.
    sa.Column("name", sa.String(80)),
    sa.Column("note", sa.Text),
    sa.Column("pinned", sa.Boolean),
    sa.Column("deleted", sa.Float),  # the time of deletion; the run is erased some minutes later
    sa.Column("deleted_state", sa.String(8)),  # the state before the deletion
    sa.Index("runs_by_owner", "owner", "state"),
    # Only over the few deleted runs: an index over all would tempt queries to scan it for NULL.
    # `_postgresql` gives PostgreSQL the same condition; naming it here would load that dialect for SQLite.
    runs_by_deletion := sa.Index("runs_by_deletion", "deleted", sqlite_where=DELETED),
)

log = sa.Table(
    "log",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("run_id", _run_id(), nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("nth", sa.Integer, nullable=False),
    sa.Column("stride", sa.Integer, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Index("log_by_run", "run_id", "kind", "id"),
    # Viewers read the rows past an id, so no id may be used twice. PostgreSQL never does.
    sqlite_autoincrement=True,
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("run_id", _run_id(), primary_key=True),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)

commands = sa.Table(
    "commands",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run_id", _run_id(), nullable=False, index=True),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("values", sa.JSON, nullable=False),
)

sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(12), unique=True, nullable=False),
    sa.Column("digest", sa.String(16), unique=True, nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("cells", sa.JSON, nullable=False),  # the digests of the configs of its runs
    sa.Column("state", sa.String(8), nullable=False, index=True),
    sa.Column("origin", sa.String(16), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("owner", sa.String(32)),
    sa.Index("sweeps_by_owner", "owner"),
)

turns = sa.Table(  # when a run of each owner was last started: the queue is round-robin over owners
    "turns",
    metadata,
    sa.Column("owner", sa.String(32), primary_key=True),  # empty without an owner
    sa.Column("sweeps", sa.Integer, primary_key=True),  # the rank: 1 sweeps, 0 single runs, -1 shared runs
    sa.Column("at", sa.Float, nullable=False),
)

entries = sa.Table(  # challenge entries: runs that the server has evaluated by their weights
    "entries",
    metadata,
    sa.Column("run_id", _run_id(), primary_key=True),
    sa.Column("task", sa.String(16), nullable=False, index=True),
    sa.Column("owner", sa.String(32)),
    sa.Column("name", sa.String(60), nullable=False),
    sa.Column("nonzeros", sa.Integer, nullable=False),
    sa.Column("value", sa.Float, nullable=False),  # the metric that the server measured
    sa.Column("created", sa.Float, nullable=False),
)

guesses = sa.Table(  # each user's answer before a lesson's run; the first answer counts
    "guesses",
    metadata,
    sa.Column("lesson", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(32), primary_key=True),
    sa.Column("choice", sa.Integer, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Index("guesses_by_owner", "owner"),
)

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)
