"""Owners and permissions: every command of the store is checked here.

A user is identified by a digest of a token that only their browser has. A run or sweep belongs to the user
who started it. Runs of the command line have no owner: on the pages only the teacher may change them.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from sparsecore.runs.store.queue import SWEEP
from sparsecore.runs.store.run import SHARED_ORIGINS
from sparsecore.runs.store.tables import runs, sweeps
from sparsecore.settings import read_setting


class NotYours(PermissionError):
    """The run or sweep belongs to another user."""


class QueueFull(RuntimeError):
    """The user has `most` queued runs, which is the limit."""

    def __init__(self, most: int) -> None:
        super().__init__(f"you already have {most} queued runs; stop one, or wait until one starts.")
        self.most = most


@dataclass(frozen=True)
class Person:
    """The user behind a request. `owner` is None for an anonymous one.

    teacher: may change every run. alone: the only user of this server, who may change runs without an owner
    too.

    >>> Person("ann").may("ann"), Person("ann").may("bob"), Person("ann").may(None)
    (True, False, False)
    >>> Person("ann", teacher=True).may("bob"), Person("ann", alone=True).may(None)
    (True, True)
    """

    owner: str | None
    teacher: bool = False
    alone: bool = False

    def may(self, owner: str | None, origin: str = "page") -> bool:
        """Whether this user may change a run or sweep of `owner`."""
        if self.teacher:
            return True
        if owner is None:
            return self.alone and origin not in SHARED_ORIGINS
        return owner == self.owner

    def require(self, owner: str | None, origin: str, what: str) -> None:
        """Raise `NotYours` unless this user may change a run or sweep of `owner`."""
        if not self.may(owner, origin):
            raise NotYours(f"{what} belongs to another user; everyone can watch it.")


HOST = Person(None, teacher=True)  # the command line and the server itself


def require_room(connection: Connection, by: Person) -> None:
    """Raise `QueueFull` if the user has reached the limit of queued runs; runs of sweeps do not count."""
    if by.teacher or by.owner is None:
        return
    own = (runs.c.owner == by.owner, runs.c.state == "queued", runs.c.origin != SWEEP)
    most = read_setting("max_queued")
    if connection.execute(select(func.count()).where(*own)).scalar_one() >= most:
        raise QueueFull(most)


def is_only_owner(connection: Connection, owner: str) -> bool:
    """Whether no run and no sweep of the store belongs to another user."""
    for table in (runs, sweeps):
        # Both ends of an index, instead of a scan of all runs.
        for end in (func.min(table.c.owner), func.max(table.c.owner)):
            found: Any = connection.execute(select(end)).scalar_one()
            if found not in (None, owner):
                return False
    return True
