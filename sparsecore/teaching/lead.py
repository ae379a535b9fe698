"""Whom a class follows: the run that the teacher looks at, and the step he has gone back to."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import select

from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import settings

SETTING = "lead"


@dataclass(frozen=True)
class Lead:
    """The run that is shown to all; `step` None for its newest."""

    run: str
    step: int | None = None


def lead(store: Store) -> Lead | None:
    """Whom the class follows now; None for nobody."""
    # Whoever watches asks this too, so that it must not write.
    kept = select(settings.c.value).where(settings.c.name == SETTING)
    with store.engine.connect() as connection:
        found = connection.execute(kept).scalar_one_or_none()
    return Lead(**found) if found else None


def set_lead(store: Store, to: Lead | None) -> None:
    """Lead the class to a run and a step, or no more."""
    store.set_setting(SETTING, asdict(to) if to else {})
