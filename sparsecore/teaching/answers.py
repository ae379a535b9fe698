"""Answers to the lessons' questions, given before the run is shown: one per person and lesson."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select

from sparsecore.runs.store.database import clock, upsert
from sparsecore.runs.store.people import NotYours, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import guesses


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
