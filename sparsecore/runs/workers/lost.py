"""Lost workers: heartbeats that stop, commands that died, and processes that hold the lock of the store."""

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


class HeartbeatMonitor:
    """Watches the heartbeats of a store by a monotonic clock.

    A run is lost if its heartbeat is too old, or in the future because the clock was set back, and if it did
    not change while this object watched. A live worker sends one within a second after the clock was set, so
    it is never lost by that.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._seen: dict[str, tuple[tuple[str, float], float]] = {}  # the heartbeat of a run, first seen when

    def lost(self) -> list[Run]:
        """The runs with a dead worker. Call this every second or two."""
        beats, now = self.store.heartbeats(), time.monotonic()
        known = self._seen
        self._seen = {
            run: known[run] if run in known and known[run][0] == beat else (beat, now)
            for run, beat in beats.items()
        }
        return [run for run in self.store.lost() if run.id in self.silent()]

    def seconds(self, run_id: str) -> float:
        """The seconds since the heartbeat of a run last changed, as far as this object has watched."""
        return time.monotonic() - self._seen[run_id][1]

    def reset(self) -> None:
        """Start over: no worker could write a heartbeat, because the store could not be written to."""
        self._seen = {}

    def silent(self) -> set[str]:
        """The runs whose worker sent no heartbeat for a while: it is dead, or cannot write."""
        now = time.monotonic()
        return {run for run, (_, since) in self._seen.items() if now - since >= SILENT_SECONDS}


# -- Runs of a command that was killed: the next command or server queues them again


COMMAND_PREFIX = "cli:"  # the prefix of the worker names of commands
COMMAND_DIED = "the command that trained it was killed several times."


def command_name() -> str:
    """The worker name of this process when a command trains in it."""
    return f"{COMMAND_PREFIX}{os.getpid()}"


def lost_commands(store: Store) -> list[Run]:
    """The runs of commands that have died.

    A command has died if its heartbeat is old and this machine has no such process: a suspended one keeps its
    run.
    """
    return [run for run in store.lost() if run.worker.startswith(COMMAND_PREFIX) and not _exists(run.worker)]


def _exists(name: str) -> bool:
    number = name.removeprefix(COMMAND_PREFIX)
    return number.isdecimal() and psutil.pid_exists(int(number))


# -- The process that holds the lock of a SQLite store: if it is stopped while it writes, all others wait


HELD_SECONDS = 20.0  # twice the longest write, a checkpoint of the largest network on a busy disk
LOOK_SECONDS = 0.5
LOCKS = Path("/proc/locks")  # Linux only; elsewhere no holder is found
WRITING = "120"  # the byte of the index file that a writer locks (SQLite's walformat, 2.3.1)


def writer_pid(database: Path) -> int | None:
    """The id of the process that writes to a SQLite database in WAL mode; None if there is none."""
    try:
        inode = database.with_name(f"{database.name}-shm").stat().st_ino
        rows = LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for row in rows:
        # 1: POSIX ADVISORY WRITE 4711 08:01:2377553 120 120; a waiting one has an arrow after its number.
        match row.split():
            case [_, _, _, "WRITE", process, file, first, last]:
                if file.rpartition(":")[2] == str(inode) and first == last == WRITING:
                    return int(process)
    return None


def stuck_writer(store: Store, ours: Collection[int], ending: threading.Event) -> int | None:
    """Wait while the store is locked; returns the process among `ours` that held it for `HELD_SECONDS`.

    None as soon as the store is free, has another error, or `ending` is set.
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
        now = writer_pid(database)
        if now != holder:
            holder, since = now, time.monotonic()
        if holder in ours and time.monotonic() - since > HELD_SECONDS:
            return holder
    return None
