"""What a person does with his runs: name, note, pin, delete, and bring a deleted one back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select, update

from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.plain_text import plain_words
from sparsecore.runs.store.run import WELCOME, Run
from sparsecore.runs.store.store import KEPT, Store
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


# -- The runs that somebody looks for, among thousands: by words, task, method, state and whose they are


# What the list calls a run's state: how it ended, else what it does.
STATES = (
    "queued",
    "running",
    "paused",
    "converged",
    "max_steps",
    "collapsed",
    "diverged",
    "stopped",
    "failed",
)
MAX_WORDS = 8  # of a search; further ones are not looked at


@dataclass(frozen=True)
class Wanted:
    """What is looked for; what is None or empty asks for nothing.

    text: words, each of which stands in the id, the name or the note, in any case of letters. state: one of
    `STATES`. owner: whose. pinned: only what is pinned.
    """

    text: str = ""
    task: str | None = None
    method: str | None = None
    state: str | None = None
    owner: str | None = None
    pinned: bool = False

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a row must fulfil."""
        found = [KEPT]
        for word in self.text.split()[:MAX_WORDS]:
            places = (runs.c.id, runs.c.name, runs.c.note)
            found.append(or_(*(column.icontains(word, autoescape=True) for column in places)))
        given = {"task": self.task, "method": self.method}
        asked = {name: value for name, value in given.items() if value is not None}
        found += [runs.c.config[name].as_string() == value for name, value in asked.items()]
        if self.state is not None:
            found.append(func.coalesce(runs.c.reason, runs.c.state) == self.state)
        if self.owner is not None:
            found.append(runs.c.owner == self.owner)
        if self.pinned:
            found.append(runs.c.pinned.is_(True))
        return found


def find(store: Store, wanted: Wanted, limit: int | None = None) -> list[Run]:
    """The runs that are looked for, pinned ones first, then the newest."""
    pinned = case((runs.c.pinned.is_(True), 0), else_=1)
    # Ids first: what is sorted should not carry results of many kilobytes.
    ids = select(runs.c.id).where(*wanted.conditions()).order_by(pinned, runs.c.place.desc()).limit(limit)
    query = select(runs).where(runs.c.id.in_(ids)).order_by(pinned, runs.c.place.desc())
    with store.engine.connect() as connection:
        return [Run.of(row) for row in connection.execute(query)]


def count(store: Store, wanted: Wanted) -> int:
    """How many runs are looked for."""
    with store.engine.connect() as connection:
        return connection.execute(select(func.count()).where(*wanted.conditions())).scalar_one()
