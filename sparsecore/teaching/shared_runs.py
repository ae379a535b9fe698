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
    query = _query(config, origin)
    with store.engine.connect() as connection:  # without a lock: most viewers find the run
        row = connection.execute(query).first()
    if row is None:
        with store.engine.connect() as connection:
            lock_tables(connection)
            row = connection.execute(query).first()
            if row is None:
                connection.execute(insert(runs).values(new_row(config, origin)))
                row = connection.execute(query).first()
            connection.commit()
    return Run.of(row)


def _query(config: RunConfig, origin: str):
    whole = (runs.c.state != "failed", runs.c.reason.is_distinct_from("stopped"))
    same = (runs.c.digest == config.digest(), runs.c.origin == origin)
    return select(runs).where(*same, *whole).order_by(runs.c.place.desc()).limit(1)
