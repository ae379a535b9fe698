"""The runs that somebody looks for, among thousands: by words, task, method, state and whose they are."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, or_, select

from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import KEPT, Store
from sparsecore.runs.store.tables import runs

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
