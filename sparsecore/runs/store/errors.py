"""Errors of the store: one sentence that says what to do, from SQLite's error codes."""

import shutil
import sqlite3
from pathlib import Path

# By kind; pages show the same in the user's language (`live.store.*`).
SENTENCES = {
    "full": "the disk that holds {place} is full: free some space; training waits and resumes automatically.",
    "locked": "another program, such as a backup or a database browser, has locked {place}: close it; "
    "training waits and resumes automatically.",
    "damaged": "{place} is damaged: stop every sparsecore process, move this file and its -wal and -shm "
    "files away, and restore a backup; without one a new store is created.",
    "readonly": "{place} is not writable: make it and its folder writable, or set SPARSECORE_HOME to another "
    "folder; training waits and resumes automatically.",
    "disk": "the disk that holds {place} cannot be read or written: check that it is connected and working; "
    "training waits and resumes automatically.",
    "moved": "{place} was moved while in use: a new one has been created there.",
}
TEMPORARY = ("full", "locked", "readonly", "disk")  # training waits until these are gone
NEEDS_REOPENING = ("damaged", "readonly", "disk", "moved")  # an open connection never recovers from these
KINDS = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
    sqlite3.SQLITE_READONLY: "readonly",
    sqlite3.SQLITE_CANTOPEN: "readonly",
    sqlite3.SQLITE_PERM: "readonly",
    sqlite3.SQLITE_IOERR: "disk",
}
PRIMARY = 0xFF  # the bits of an extended error code that hold the primary code
NO_ROOM = 1_000_000  # free bytes: on a full disk SQLite reports SQLITE_FULL or SQLITE_IOERR


class Unusable(RuntimeError):
    """A database or a cluster cannot be used; the message is one sentence."""


class StoreError(Unusable):
    """The database cannot be used; the message is one sentence.

    kind: one of `SENTENCES` for a SQLite file, `place`; empty for any other cause.
    """

    def __init__(self, sentence: str, kind: str = "", place: str = "") -> None:
        super().__init__(sentence)
        self.kind, self.place = kind, place

    @classmethod
    def of_kind(cls, kind: str, place: str) -> "StoreError":
        """The error of this kind, with its sentence.

        >>> StoreError.of_kind("moved", "store.sqlite3").kind
        'moved'
        """
        return cls(SENTENCES[kind].format(place=place), kind, place)

    @property
    def details(self) -> dict[str, str]:
        """The kind and the file name, for the page's own words; the folder stays private."""
        return {"kind": self.kind, "place": Path(self.place).name}


def from_sqlite(error: BaseException | None, place: str) -> StoreError | None:
    """The error of the file at `place` behind a SQLite error; None if the statement was wrong."""
    if not isinstance(error, sqlite3.Error):
        return None
    kind = KINDS.get(getattr(error, "sqlite_errorcode", 0) & PRIMARY)
    if kind == "disk" and _free(Path(place).parent) < NO_ROOM:
        kind = "full"
    if kind is None and str(error).startswith("no such table"):
        kind = "moved"
    return None if kind is None else StoreError.of_kind(kind, place)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free if folder.is_dir() else NO_ROOM


class LostRun(RuntimeError):
    """The worker no longer holds the run: another one took it over, or it was deleted."""
