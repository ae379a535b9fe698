"""Read single arrays of a run's last checkpoint, without the others."""

from __future__ import annotations

import numpy as np
from sqlalchemy import LargeBinary, func, select

from sparsecore.engine.training.blobs import HEADER_BYTES, array_places
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import checkpoints


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
    with store.engine.connect() as connection:
        row = connection.execute(query).first()
    return None if row is None else (row[0], row[1])
