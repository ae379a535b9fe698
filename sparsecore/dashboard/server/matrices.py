"""One weight matrix of a run with every weight, out of its last checkpoint."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from sparsecore.runs.store.blobs import decode_meta, encode
from sparsecore.runs.store.saved_arrays import saved_arrays
from sparsecore.runs.store.store import Store

MAX_CELLS = 4_194_304  # a matrix of 2,048 × 2,048: 30 MB for a viewer, and more pixels than any screen
_one_at_a_time = threading.Lock()  # thirty viewers together must not hold thirty large matrices


def full_matrix(store: Store, run_id: str, place: int) -> bytes | None:
    """A blob as a frame's, of type `matrix`, with the one drawn matrix of the layer at `place`.

    Its meta says `refused`, "unsaved" or "too_large", where there is none to show. None for a place without
    a drawn matrix.
    """
    newest = store.frame(run_id)
    if newest is None:
        return None
    frame = decode_meta(newest.payload)
    if place not in [entry["layer"] for entry in frame["matrices"]]:
        return None
    with _one_at_a_time:
        return _read(store, run_id, place, frame["layers"][place])


def _read(store: Store, run_id: str, place: int, layer: dict[str, Any]) -> bytes:
    rows, cols = layer["shape"]
    meta = {"type": "matrix", "place": place}
    if rows * cols > MAX_CELLS:
        return encode({}, meta | {"refused": "too_large"})
    kinds = (f"sparsifier.masks.{place}", f"sparsifier.counts.{place}", f"model.{layer['name']}.weight")
    saved = saved_arrays(store, run_id, *kinds)
    if saved is None:
        return encode({}, meta | {"refused": "unsaved"})
    step, (mask, count, value) = saved
    kept = mask.astype(bool)
    arrays = {
        "count.0": count.astype(np.uint32),
        "mask.0": np.packbits(kept, bitorder="little"),
        "value.0": value.astype(np.float32)[kept],
    }
    entry = {"layer": 0, "rows": rows, "cols": cols, "pool": [1, 1]}
    meta |= {"step": step, "matrices": [entry], "layers": [layer | {"kept": int(kept.sum())}]}
    return encode(arrays, meta)
