"""The newest state of a large run in files beside a SQLite store: they outlive its process and cost little.

The store takes a third of a second of computing for the 76 MB of a text network, and some seconds on a busy
machine. A file that nobody waits to reach the disk takes a sixth of it, and outlives whoever wrote it.
Two files take turns, so that one is whole at any moment. What a machine loses when it ends at once is found
by its checksum, and the run goes on from the store.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections import Counter
from pathlib import Path

from sqlalchemy import select

from sparsecore.engine.training.events import Checkpoint
from sparsecore.runs.store.blobs import decode, pieces
from sparsecore.runs.store.database import is_shared
from sparsecore.runs.store.run import ACTIVE
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs

FOLDER = "unsaved"  # of the home
LARGE = 4_000_000  # bytes of a state; a smaller one the store takes in hundredths of a second
HEAD_BYTES = 16  # the checksum of the rest, and the step, of 8 bytes each
NOT_WHOLE = bytes(HEAD_BYTES)


class Beside:
    """The files of one run; whoever trains it writes them, and reads them when he begins."""

    def __init__(self, store: Store, run_id: str) -> None:
        folder = store.home / FOLDER
        self.places = [folder / f"{run_id}.{turn}" for turn in (0, 1)]
        self.possible = not is_shared(store.url)  # who goes on on another machine has no file of this one

    def takes(self, checkpoint: Checkpoint) -> bool:
        """Whether the state is so large that it is to be kept here between two writings of the store."""
        return self.possible and sum(array.nbytes for array in checkpoint.arrays.values()) >= LARGE

    def write(self, checkpoint: Checkpoint) -> bool:
        """Keep a state in place of the last but one; False, and no more is tried, where no file can be."""
        place = self.places[0]
        self.places.reverse()
        try:
            place.parent.mkdir(exist_ok=True)
            with open(os.open(place, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                file.write(NOT_WHOLE)
                file.flush()
                step = checkpoint.step.to_bytes(8, "little")
                digest = zlib.crc32(step)
                for piece in pieces(checkpoint.arrays, checkpoint.meta):
                    file.write(piece)
                    digest = zlib.crc32(piece, digest)
                file.truncate()
                file.seek(0)
                file.write(digest.to_bytes(8, "little") + step)
        except OSError:
            self.possible = False
            self.remove()
        return self.possible

    def newest(self) -> Checkpoint | None:
        """The state of the latest step that is whole; the other file is the one to be written next."""
        found = {place: read for place in self.places if (read := _read(place)) is not None}
        self.places.sort(key=lambda place: found[place].step if place in found else -1)
        return found.get(self.places[-1])

    def remove(self) -> None:
        """The store has what is to be kept."""
        for place in self.places:
            with contextlib.suppress(OSError):  # on a disk that can only be read they stay until `tidy`
                place.unlink(missing_ok=True)


def _read(place: Path) -> Checkpoint | None:
    try:
        data = place.read_bytes()
    except OSError:
        return None
    head, blob = data[:HEAD_BYTES], memoryview(data)[HEAD_BYTES:]
    digest, step = head[:8], head[8:]
    if len(head) < HEAD_BYTES or zlib.crc32(blob, zlib.crc32(step)) != int.from_bytes(digest, "little"):
        return None
    return Checkpoint(int.from_bytes(step, "little"), *decode(bytes(blob)))


def sizes(store: Store) -> tuple[dict[str, int], int]:
    """Bytes of the files of each run that may go on from them, and of all that `tidy` would remove."""
    places = _places(store)
    going = _going_on(store) if places else set()
    kept: Counter[str] = Counter()
    left = 0
    for place in places:
        with contextlib.suppress(FileNotFoundError):  # the run has ended meanwhile
            size = place.stat().st_size
            if place.stem in going:
                kept[place.stem] += size
            else:
                left += size
    return dict(kept), left


def tidy(store: Store) -> None:
    """Remove the files of runs that are over or gone, whose process could not do it."""
    if places := _places(store):
        going = _going_on(store)
        for place in places:
            if place.stem not in going:
                with contextlib.suppress(OSError):
                    place.unlink(missing_ok=True)


def _places(store: Store) -> list[Path]:
    """The files of this store's runs. A shared database has none: those here are the SQLite file's."""
    return [] if is_shared(store.url) else list((store.home / FOLDER).glob("*.[01]"))


def _going_on(store: Store) -> set[str]:
    """The runs that are not over. One that was deleted is among them: it may be brought back.

    Asked for when the files have been found: whoever has a file was in the store before it.
    """
    with store.engine.connect() as connection:
        return set(connection.execute(select(runs.c.id).where(runs.c.state.in_(ACTIVE))).scalars())
