"""The catalogue of runs: name, annotate, pin, delete, restore and find them."""

import re
import time
import unicodedata
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select, update

from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.run import WELCOME, Run
from sparsecore.runs.store.store import NOT_DELETED, Store
from sparsecore.runs.store.tables import commands, runs

UNDO_SECONDS = 600.0  # a deleted run can be restored for this long; then it is erased
NAME_CHARACTERS, NOTE_CHARACTERS = 80, 2_000
WAITING = ("queued", "running")  # a restored run that was in such a state is queued
# These would also reverse the text after a name, on pages and in terminals.
DIRECTION_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")
CONTROL = ("Cc", "Cs")  # control characters, and lone surrogates, which no database accepts


class TooLong(ValueError):
    """A name or note has more than `most` characters."""

    def __init__(self, what: str, most: int) -> None:
        super().__init__(f"a {what} has at most {most:,} characters.")
        self.what, self.most = what, most


def describe(
    store: Store, run_id: str, *, name: str | None = None, note: str | None = None, by: Person = HOST
) -> None:
    """Set the name or note of a run; an empty text removes it, None keeps it.

    Raises KeyError for an unknown run, NotYours, and TooLong.
    """
    values = {}
    if name is not None:
        values["name"] = clean_name(name)
    if note is not None:
        values["note"] = clean_note(note)
    if values:
        _set(store, run_id, values, by)


def pin(store: Store, run_id: str, *, pinned: bool = True, by: Person = HOST) -> None:
    """List a run first, and never remove it to free disk space. Raises KeyError and NotYours."""
    _set(store, run_id, {"pinned": pinned}, by)


def remove(store: Store, run_id: str, by: Person = HOST) -> None:
    """Delete a run so that `restore` can undo it: nothing lists, opens or counts it any more.

    A worker that trains it lets it go; restored, it continues from its last checkpoint. Raises KeyError and
    NotYours.
    """
    _require(store, run_id, by)
    state = case((runs.c.state.in_(WAITING), "paused"), else_=runs.c.state)
    values = {"deleted": time.time(), "deleted_state": runs.c.state, "state": state, "worker": None}
    with store.engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == run_id).values(values))
        connection.execute(delete(commands).where(commands.c.run_id == run_id))


def restore(store: Store, run_id: str, by: Person = HOST) -> None:
    """Restore a deleted run. Raises KeyError if it is erased already, or was not deleted."""
    row = store.first(select(runs).where(runs.c.id == run_id, _DELETED))
    if row is None:
        raise KeyError(run_id)
    by.require(row.owner, row.origin, f"run {run_id}")
    state = case((runs.c.deleted_state.in_(WAITING), "queued"), else_=runs.c.state)
    values = {"state": state, "deleted": None, "deleted_state": None}
    store.change(update(runs).where(runs.c.id == run_id, _DELETED).values(values))


def recently_deleted(store: Store, by: Person = HOST, limit: int = 5) -> list[Run]:
    """The runs that this user can restore, the last deleted first."""
    fresh = runs.c.deleted > time.time() - UNDO_SECONDS
    query = select(runs).where(fresh, allowed(by)).order_by(runs.c.deleted.desc()).limit(limit)
    return [Run.of(row) for row in store.rows(query)]


def purge(store: Store, seconds: float = UNDO_SECONDS) -> int:
    """Erase the runs that were deleted at least this long ago; returns how many."""
    old = runs.c.deleted <= time.time() - seconds
    ids = store.scalars(select(runs.c.id).where(old))
    # One transaction each, so that workers never wait for all of them.
    return sum(store.change(delete(runs).where(runs.c.id == run_id, old)) for run_id in ids)


def allowed(by: Person) -> ColumnElement[bool]:
    """The runs that a user may change, as an SQL condition; see `Person.may`."""
    if by.teacher:
        return runs.c.place.is_not(None)
    own = runs.c.owner == by.owner
    return or_(own, and_(runs.c.owner.is_(None), runs.c.origin != WELCOME)) if by.alone else own


_DELETED = runs.c.deleted.is_not(None)


def strip_control(text: str) -> str:
    """Remove control characters except line ends, and direction marks.

    >>> strip_control("a\\0b\\x1b[31m\\u202ec\\n")
    'ab[31mc\\n'
    """
    kept = "".join(sign for sign in text if sign == "\n" or unicodedata.category(sign) not in CONTROL)
    return DIRECTION_MARKS.sub("", kept)


def clean_name(text: str) -> str | None:
    """Clean a name for the store, in one line; None for an empty one. Raises TooLong.

    >>> clean_name(" the\\n best\\0 ")
    'the best'
    """
    return _short(" ".join(strip_control(" ".join(text.split())).split()), "name", NAME_CHARACTERS)


def clean_note(text: str) -> str | None:
    """Clean a note for the store; None for an empty one. Raises TooLong."""
    return _short(strip_control(text).strip(), "note", NOTE_CHARACTERS)


def _short(text: str, what: str, most: int) -> str | None:
    if len(text) > most:
        raise TooLong(what, most)
    return text or None


def _require(store: Store, run_id: str, by: Person) -> None:
    run = store.get(run_id)
    if run is None:
        raise KeyError(run_id)
    by.require(run.owner, run.origin, f"run {run_id}")


def _set(store: Store, run_id: str, values: dict[str, Any], by: Person) -> None:
    _require(store, run_id, by)
    store.change(update(runs).where(runs.c.id == run_id).values(values))


# -- Finding runs by words, task, method, state and owner


# The states of the list: how a run ended, else its state.
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
MAX_WORDS = 8  # of a search; further words are ignored


@dataclass(frozen=True)
class RunFilter:
    """A filter for runs; None or empty means any.

    text: words that must all occur in the id, name or note, in either case. state: one of `STATES`.
    pinned: only pinned runs.
    """

    text: str = ""
    task: str | None = None
    method: str | None = None
    state: str | None = None
    owner: str | None = None
    pinned: bool = False

    def conditions(self) -> list[ColumnElement[bool]]:
        """The SQL conditions of the filter."""
        found = [NOT_DELETED]
        for word in self.text.split()[:MAX_WORDS]:
            places = (runs.c.id, runs.c.name, runs.c.note)
            found.append(or_(*(column.icontains(word, autoescape=True) for column in places)))
        given = {"task": self.task, "method": self.method}
        chosen = {name: value for name, value in given.items() if value is not None}
        found += [runs.c.config[name].as_string() == value for name, value in chosen.items()]
        if self.state is not None:
            found.append(func.coalesce(runs.c.reason, runs.c.state) == self.state)
        if self.owner is not None:
            found.append(runs.c.owner == self.owner)
        if self.pinned:
            found.append(runs.c.pinned.is_(True))
        return found


def find(store: Store, wanted: RunFilter, limit: int | None = None) -> list[Run]:
    """The runs that match, pinned ones first, then the newest."""
    pinned = case((runs.c.pinned.is_(True), 0), else_=1)
    # Ids first: sorting whole rows would carry results of many kilobytes.
    ids = select(runs.c.id).where(*wanted.conditions()).order_by(pinned, runs.c.place.desc()).limit(limit)
    query = select(runs).where(runs.c.id.in_(ids)).order_by(pinned, runs.c.place.desc())
    return [Run.of(row) for row in store.rows(query)]


def count(store: Store, wanted: RunFilter) -> int:
    """How many runs match."""
    return store.first(select(func.count()).where(*wanted.conditions()))[0]
