"""Which process holds a SQLite store's lock: one that is halted in the middle of writing holds all up."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from pathlib import Path

from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.store import Store

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
