"""Whose a run is, and who may do what to it: every command of the store asks here.

A person is known by a digest of a token that only his browser has. A run, or a sweep, belongs to whoever
began it; what the command line began belongs to nobody on the pages but the teacher.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from sparsecore.runs.store.queue import SWEEP
from sparsecore.runs.store.run import FOR_ALL
from sparsecore.runs.store.tables import runs, sweeps
from sparsecore.settings import read_setting


class NotYours(PermissionError):
    """The run or sweep belongs to somebody else."""


class QueueFull(RuntimeError):
    """A person has as many queued runs as one may have, which is `most`."""

    def __init__(self, most: int) -> None:
        super().__init__(f"you have {most} queued runs already; stop one, or wait until one begins.")
        self.most = most


@dataclass(frozen=True)
class Person:
    """Who asks. `owner` is None for nobody in particular.

    teacher: may do everything to every run. alone: nobody else uses this server, so that what belongs to
    nobody is his too.

    >>> Person("ann").may("ann"), Person("ann").may("bob"), Person("ann").may(None)
    (True, False, False)
    >>> Person("ann", teacher=True).may("bob"), Person("ann", alone=True).may(None)
    (True, True)
    """

    owner: str | None
    teacher: bool = False
    alone: bool = False

    def may(self, owner: str | None, origin: str = "page") -> bool:
        """Whether this person may command what belongs to `owner`."""
        if self.teacher:
            return True
        if owner is None:
            return self.alone and origin not in FOR_ALL
        return owner == self.owner

    def require(self, owner: str | None, origin: str, what: str) -> None:
        """Raise `NotYours` for what this person may not command."""
        if not self.may(owner, origin):
            raise NotYours(f"{what} belongs to somebody else; everybody may watch it.")


HOST = Person(None, teacher=True)  # the command line and the server itself: the machine is theirs


def require_room(connection: Connection, by: Person) -> None:
    """Raise `QueueFull` for a person who has as many queued runs as one may have; a sweep's do not count."""
    if by.teacher or by.owner is None:
        return
    mine = (runs.c.owner == by.owner, runs.c.state == "queued", runs.c.origin != SWEEP)
    most = read_setting("max_queued")
    if connection.execute(select(func.count()).where(*mine)).scalar_one() >= most:
        raise QueueFull(most)


def only_owner(connection: Connection, owner: str) -> bool:
    """Whether no run and no sweep of the store belongs to anybody else."""
    for table in (runs, sweeps):
        # The ends of an index, not a look at every run.
        for end in (func.min(table.c.owner), func.max(table.c.owner)):
            found: Any = connection.execute(select(end)).scalar_one()
            if found not in (None, owner):
                return False
    return True
