"""The state that runs have saved: files of large runs, and single arrays of the last checkpoint.

A state file is next to a SQLite store and holds the newest checkpoint between two saves to the store. Saving
the 76 MB of a text network to the store takes a third of a second of computing, and seconds on a busy
machine. A file that is not synced to the disk takes a sixth of that and outlives the process. Two files are
written in turn, so that one is always complete. A checksum finds a file that a power failure cut off; the run
then continues from the store.
"""

import contextlib
import os
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from sqlalchemy import LargeBinary, func, select

from sparsecore.engine.training.blobs import HEADER_BYTES, array_places, decode, pieces
from sparsecore.engine.training.events import Checkpoint
from sparsecore.runs.store.database import is_networked
from sparsecore.runs.store.run import ACTIVE
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import checkpoints, runs

FOLDER = "unsaved"  # in the home folder
LARGE = 4_000_000  # bytes of a checkpoint; the store saves a smaller one in hundredths of a second
HEAD_BYTES = 16  # the checksum of the rest and the step, 8 bytes each
INCOMPLETE = bytes(HEAD_BYTES)


class StateFiles:
    """The state files of one run, which its worker writes, and reads when it starts."""

    def __init__(self, store: Store, run_id: str) -> None:
        folder = store.home / FOLDER
        self.paths = [folder / f"{run_id}.{turn}" for turn in (0, 1)]
        self.possible = not is_networked(store.url)  # another machine could not read the files of this one

    def is_large(self, checkpoint: Checkpoint) -> bool:
        """Whether the checkpoint is large enough to be kept in a file between two saves to the store."""
        return self.possible and sum(array.nbytes for array in checkpoint.arrays.values()) >= LARGE

    def write(self, checkpoint: Checkpoint) -> bool:
        """Overwrite the older file; False, from then on, where no file can be written."""
        path = self.paths[0]
        self.paths.reverse()
        try:
            path.parent.mkdir(exist_ok=True)
            with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                file.write(INCOMPLETE)
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
        """The complete checkpoint of the latest step; the other file is overwritten next."""
        found = {path: read for path in self.paths if (read := _read(path)) is not None}
        self.paths.sort(key=lambda path: found[path].step if path in found else -1)
        return found.get(self.paths[-1])

    def remove(self) -> None:
        """Remove both files: the store has the run's last checkpoint."""
        for path in self.paths:
            with contextlib.suppress(OSError):  # on a read-only disk they stay until `tidy`
                path.unlink(missing_ok=True)


def _read(path: Path) -> Checkpoint | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    head, blob = data[:HEAD_BYTES], memoryview(data)[HEAD_BYTES:]
    digest, step = head[:8], head[8:]
    if len(head) < HEAD_BYTES or zlib.crc32(blob, zlib.crc32(step)) != int.from_bytes(digest, "little"):
        return None
    return Checkpoint(int.from_bytes(step, "little"), *decode(bytes(blob)))


def sizes(store: Store) -> tuple[dict[str, int], int]:
    """Bytes of the files of each unfinished run, and of all files that `tidy` would remove."""
    paths = _paths(store)
    unfinished = _unfinished(store) if paths else set()
    needed: Counter[str] = Counter()
    removable = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # the run has ended meanwhile
            size = path.stat().st_size
            if path.stem in unfinished:
                needed[path.stem] += size
            else:
                removable += size
    return dict(needed), removable


def tidy(store: Store) -> None:
    """Remove the files of finished and erased runs, in case their worker could not."""
    if paths := _paths(store):
        unfinished = _unfinished(store)
        for path in paths:
            if path.stem not in unfinished:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)


def _paths(store: Store) -> list[Path]:
    """The state files of this store. A networked database has none: files here belong to a SQLite store."""
    return [] if is_networked(store.url) else list((store.home / FOLDER).glob("*.[01]"))


def _unfinished(store: Store) -> set[str]:
    """The unfinished runs, with deleted ones, which may be restored.

    Called after the files were listed: a run is in the store before it has a file.
    """
    return set(store.scalars(select(runs.c.id).where(runs.c.state.in_(ACTIVE))))


# -- Single arrays of the last checkpoint, without the others


def saved_arrays(store: Store, run_id: str, *names: str) -> tuple[int, list[np.ndarray]] | None:
    """The step of the last checkpoint and these arrays of it, flat; None if there is none yet.

    None too if a newer checkpoint replaced it meanwhile: the next call reads that one. Raises `KeyError` for
    an array that the checkpoint lacks.
    """
    first = _part(store, run_id, 0, HEADER_BYTES)
    if first is None:
        return None
    step, length = first[0], int.from_bytes(first[1], "little")
    header = _part(store, run_id, HEADER_BYTES, length)
    if header is None or header[0] != step:
        return None
    places = array_places(header[1])
    arrays = []
    for name in names:
        dtype, start, size = places[name]
        part = _part(store, run_id, HEADER_BYTES + length + start, size)
        if part is None or part[0] != step:
            return None
        arrays.append(np.frombuffer(part[1], dtype=dtype))
    return step, arrays


def _part(store: Store, run_id: str, start: int, size: int) -> tuple[int, bytes] | None:
    """The step of the checkpoint, and `size` bytes of its blob from byte `start`."""
    part = func.substr(checkpoints.c.payload, start + 1, size, type_=LargeBinary)
    query = select(checkpoints.c.step, part).where(checkpoints.c.run_id == run_id)
    row = store.first(query)
    return None if row is None else (row[0], row[1])
