"""What a person does with his runs: name, note, pin, delete, and bring a deleted one back."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import and_, case, delete, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.plain_text import plain_words
from sparsecore.runs.store.run import WELCOME, Run
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import commands, runs

UNDO_SECONDS = 600.0  # a deleted run can be brought back for so long; then it is erased
NAME_CHARACTERS, NOTE_CHARACTERS = 80, 2_000
WAITING = ("queued", "running")  # such a run is queued again when it comes back


class TooLong(ValueError):
    """A name or a note has more than `most` characters."""

    def __init__(self, what: str, most: int) -> None:
        super().__init__(f"a {what} has at most {most:,} characters.")
        self.what, self.most = what, most


def describe(
    store: Store, run_id: str, *, name: str | None = None, note: str | None = None, by: Person = HOST
) -> None:
    """Give a run a name, a note, or both; an empty one takes it away, None leaves it.

    Raises KeyError without such a run, NotYours, and TooLong.
    """
    values = {}
    if name is not None:
        values["name"] = clean_name(name)
    if note is not None:
        values["note"] = clean_note(note)
    if values:
        _set(store, run_id, values, by)


def pin(store: Store, run_id: str, *, pinned: bool = True, by: Person = HOST) -> None:
    """Let a run stand first, and never be removed to make room. Raises KeyError and NotYours."""
    _set(store, run_id, {"pinned": pinned}, by)


def remove(store: Store, run_id: str, by: Person = HOST) -> None:
    """Delete a run so that `restore` brings it back: nothing lists, opens or counts it any more.

    One that trains is let go; back again, it goes on from its last checkpoint. Raises KeyError and NotYours.
    """
    _required(store, run_id, by)
    state = case((runs.c.state.in_(WAITING), "paused"), else_=runs.c.state)
    values = {"deleted": time.time(), "deleted_state": runs.c.state, "state": state, "worker": None}
    with store.engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == run_id).values(values))
        connection.execute(delete(commands).where(commands.c.run_id == run_id))


def restore(store: Store, run_id: str, by: Person = HOST) -> None:
    """Bring a deleted run back as it was. Raises KeyError when it is erased, or was never deleted."""
    with store.engine.connect() as connection:
        row = connection.execute(select(runs).where(runs.c.id == run_id, _DELETED)).first()
    if row is None:
        raise KeyError(run_id)
    by.require(row.owner, row.origin, f"run {run_id}")
    state = case((runs.c.deleted_state.in_(WAITING), "queued"), else_=runs.c.state)
    values = {"state": state, "deleted": None, "deleted_state": None}
    with store.engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == run_id, _DELETED).values(values))


def recently_deleted(store: Store, by: Person = HOST, limit: int = 5) -> list[Run]:
    """The runs that this person can bring back, the last deleted first."""
    fresh = runs.c.deleted > time.time() - UNDO_SECONDS
    query = select(runs).where(fresh, allowed(by)).order_by(runs.c.deleted.desc()).limit(limit)
    with store.engine.connect() as connection:
        return [Run.of(row) for row in connection.execute(query)]


def purge(store: Store, seconds: float = UNDO_SECONDS) -> int:
    """Erase what was deleted so many seconds ago or earlier; gives how many runs that were."""
    old = runs.c.deleted <= time.time() - seconds
    with store.engine.connect() as connection:
        ids = list(connection.execute(select(runs.c.id).where(old)).scalars())
    erased = 0
    for run_id in ids:  # each in its own transaction: nobody who trains waits for all of them
        with store.engine.begin() as connection:
            erased += connection.execute(delete(runs).where(runs.c.id == run_id, old)).rowcount
    return erased


def allowed(by: Person) -> ColumnElement[bool]:
    """The runs that a person may command, as `Person.may` says of one."""
    if by.teacher:
        return runs.c.place.is_not(None)
    his = runs.c.owner == by.owner
    return or_(his, and_(runs.c.owner.is_(None), runs.c.origin != WELCOME)) if by.alone else his


_DELETED = runs.c.deleted.is_not(None)


def clean_name(text: str) -> str | None:
    """A name as it is kept, in one line; None for an empty one. Raises TooLong.

    >>> clean_name(" the\\n best\\0 ")
    'the best'
    """
    return _short(" ".join(plain_words(" ".join(text.split())).split()), "name", NAME_CHARACTERS)


def clean_note(text: str) -> str | None:
    """A note as it is kept; None for an empty one. Raises TooLong."""
    return _short(plain_words(text).strip(), "note", NOTE_CHARACTERS)


def _short(text: str, what: str, most: int) -> str | None:
    if len(text) > most:
        raise TooLong(what, most)
    return text or None


def _required(store: Store, run_id: str, by: Person) -> Run:
    run = store.get(run_id)
    if run is None:
        raise KeyError(run_id)
    by.require(run.owner, run.origin, f"run {run_id}")
    return run


def _set(store: Store, run_id: str, values: dict[str, Any], by: Person) -> None:
    _required(store, run_id, by)
    with store.engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == run_id).values(values))
