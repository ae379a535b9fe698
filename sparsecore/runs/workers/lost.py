"""Whose workers are silent: told by heartbeats that do not change, whatever the clocks say meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection
from pathlib import Path

import psutil

from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import HEARTBEAT_SECONDS, Store

SILENT_SECONDS = 3 * HEARTBEAT_SECONDS


class Silence:
    """What one process has seen of the heartbeats in a store, by a clock that nobody sets.

    A run is lost when its heartbeat is too old, or lies in a time to come since the clock was set back; and
    when it has not changed while this watched. A worker that lives beats within a second of any change of the
    clock, and is not lost by it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._heard: dict[str, tuple[tuple[str, float], float]] = {}  # a run's heartbeat, and since when

    def lost(self) -> list[Run]:
        """Runs whose worker is dead; to be asked every second or two."""
        beats, now = self.store.heartbeats(), time.monotonic()
        known = self._heard
        self._heard = {
            run: known[run] if run in known and known[run][0] == beat else (beat, now)
            for run, beat in beats.items()
        }
        return [run for run in self.store.lost() if run.id in self._silent()]

    def seconds(self, run_id: str) -> float:
        """For how long a run's heartbeat has not changed, as far as this has seen."""
        return time.monotonic() - self._heard[run_id][1]

    def suspects(self) -> bool:
        """Whether any worker was silent when last asked: dead, or unable to write."""
        return bool(self._silent())

    def forget(self) -> None:
        """Begin anew: nobody could be heard, for the store could not be written to."""
        self._heard = {}

    def _silent(self) -> set[str]:
        now = time.monotonic()
        return {run for run, (_, since) in self._heard.items() if now - since >= SILENT_SECONDS}


# -- Runs of a command that was killed: the next command or server queues them again


COMMAND = "cli:"  # how the names of commands that train begin
WHY = "the command that trained it was killed, again and again."


def name_of_this() -> str:
    """The name under which the command of this process trains."""
    return f"{COMMAND}{os.getpid()}"


def killed(store: Store) -> list[Run]:
    """The runs of commands that are no more.

    A command is no more when its heartbeat is old and this machine has no such process: one that is only
    suspended keeps its run.
    """
    return [run for run in store.lost() if run.worker.startswith(COMMAND) and not _is_there(run.worker)]


def _is_there(name: str) -> bool:
    number = name.removeprefix(COMMAND)
    return number.isdecimal() and psutil.pid_exists(int(number))


# -- Which process holds a SQLite store's lock: one that is halted in the middle of writing holds all up


HELD_SECONDS = 20.0  # the longest write, a checkpoint of the largest network on a busy disk, takes half
LOOK_SECONDS = 0.5
LOCKS = Path("/proc/locks")  # Linux; where it is not, nobody is known to hold a lock
WRITING = "120"  # the byte of the index file that is locked by whoever writes (SQLite's walformat, 2.3.1)


def writer(database: Path) -> int | None:
    """The id of the process that is writing to a SQLite database in WAL mode; None when there is none."""
    try:
        inode = database.with_name(f"{database.name}-shm").stat().st_ino
        rows = LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for row in rows:
        # 1: POSIX ADVISORY WRITE 4711 08:01:2377553 120 120; one that waits has an arrow behind its number.
        match row.split():
            case [_, _, _, "WRITE", process, file, first, last]:
                if file.rpartition(":")[2] == str(inode) and first == last == WRITING:
                    return int(process)
    return None


def stuck_writer(store: Store, ours: Collection[int], ending: threading.Event) -> int | None:
    """Wait while the store is locked; gives the process, one of `ours`, that has held it for `HELD_SECONDS`.

    None as soon as the store is free, ails from something else, or `ending` is set.
    """
    database = Path(store.url.database)
    holder, since = None, time.monotonic()
    while not ending.wait(LOOK_SECONDS):
        try:
            store.try_writing()
        except StoreError as error:
            if error.kind != "locked":
                return None
        else:
            return None
        now = writer(database)
        if now != holder:
            holder, since = now, time.monotonic()
        if holder in ours and time.monotonic() - since > HELD_SECONDS:
            return holder
    return None
