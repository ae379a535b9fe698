"""What a class shares: the runs of the lessons, the answers to their questions, the teacher's view."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import delete, func, insert, select

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.database import clock, lock_tables, upsert
from sparsecore.runs.store.people import NotYours, Person
from sparsecore.runs.store.run import LESSON, Run, new_row
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import guesses, runs, settings

SETTING = "lead"  # the store's setting that holds the teacher's view


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


# -- Answers, given before the run is shown: one per person and lesson


def record_answer(store: Store, lesson: str, choice: int, by: Person) -> bool:
    """Store a person's answer; return False if there is one already, which is kept.

    Raises `ValueError` for a choice below 0 or a person without an owner id.
    """
    if choice < 0 or by.owner is None:
        raise ValueError(
            f"an answer needs a person and a choice of at least 0; got {by.owner!r} and {choice!r}."
        )
    row = {"lesson": lesson, "owner": by.owner, "choice": choice, "at": clock(store.engine)}
    with store.engine.begin() as connection:
        statement = upsert(store.engine, guesses).values(row).on_conflict_do_nothing()
        return connection.execute(statement).rowcount == 1


def count_answers(store: Store, lesson: str, choices: int) -> list[int]:
    """Count the people who gave each answer, in the order of the choices."""
    query = (
        select(guesses.c.choice, func.count()).where(guesses.c.lesson == lesson).group_by(guesses.c.choice)
    )
    with store.engine.connect() as connection:
        counts = dict(tuple(row) for row in connection.execute(query))
    return [counts.get(choice, 0) for choice in range(choices)]


def answers_of(store: Store, owner: str) -> dict[str, int]:
    """Return a person's answers by lesson."""
    query = select(guesses.c.lesson, guesses.c.choice).where(guesses.c.owner == owner)
    with store.engine.connect() as connection:
        return dict(tuple(row) for row in connection.execute(query))


def clear_answers(store: Store, lessons: Sequence[str], by: Person) -> None:
    """Delete all answers to these lessons, for a new class; raise `NotYours` unless `by` is the teacher."""
    if not by.teacher:
        raise NotYours("only the teacher can delete the class's answers.")
    with store.engine.begin() as connection:
        connection.execute(delete(guesses).where(guesses.c.lesson.in_(lessons)))


# -- The run and step that the teacher shows


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
