"""The run and step that the teacher shows to the class."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import select

from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import settings

SETTING = "lead"


@dataclass(frozen=True)
class TeacherView:
    """A run that the teacher shows; `step` is None for its newest step."""

    run: str
    step: int | None = None


def teacher_view(store: Store) -> TeacherView | None:
    """Return the run that the teacher shows now, or None."""
    # Every viewer's server reads this, so it must not write.
    kept = select(settings.c.value).where(settings.c.name == SETTING)
    with store.engine.connect() as connection:
        value = connection.execute(kept).scalar_one_or_none()
    return TeacherView(**value) if value else None


def set_teacher_view(store: Store, view: TeacherView | None) -> None:
    """Show a run and step to the class, or stop with None."""
    store.set_setting(SETTING, asdict(view) if view else {})
