"""Runs shared by all viewers: one per config, created for the first person who opens it."""

from __future__ import annotations

from sqlalchemy import insert, select

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.database import lock_tables
from sparsecore.runs.store.run import LESSON, Run, new_row
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs


def shared_run(store: Store, config: RunConfig, origin: str = LESSON) -> Run:
    """Return the newest run of this config and origin that neither failed nor was stopped, or create one.

    It has no owner. Two people who open it at once get the same run.
    """
    found = _newest(store, config, origin)
    if found is not None:
        return found
    with store.engine.connect() as connection:
        lock_tables(connection)
        row = connection.execute(_query(config, origin)).first()
        if row is None:
            connection.execute(insert(runs).values(new_row(config, origin)))
            row = connection.execute(_query(config, origin)).first()
        connection.commit()
    return Run.of(row)


def _newest(store: Store, config: RunConfig, origin: str) -> Run | None:
    with store.engine.connect() as connection:
        row = connection.execute(_query(config, origin)).first()
    return None if row is None else Run.of(row)


def _query(config: RunConfig, origin: str):
    whole = (runs.c.state != "failed", runs.c.reason.is_distinct_from("stopped"))
    same = (runs.c.digest == config.digest(), runs.c.origin == origin)
    return select(runs).where(*same, *whole).order_by(runs.c.place.desc()).limit(1)
