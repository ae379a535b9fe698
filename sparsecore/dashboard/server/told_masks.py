"""What the live route tells of masks: all of a run's as it was last saved, and how far two runs' overlap."""

from __future__ import annotations

import threading

import numpy as np

from sparsecore.dashboard.server.matrices import MAX_CELLS
from sparsecore.runs.insights.overlap import Unlike, overlap
from sparsecore.runs.store.blobs import decode_meta, encode
from sparsecore.runs.store.saved_arrays import saved_arrays
from sparsecore.runs.store.store import Store

_one_at_a_time = threading.Lock()  # thirty viewers together must not hold thirty sets of masks


def last_masks(store: Store, run_id: str) -> bytes | None:
    """A blob of type `masks`: of each matrix that a frame draws, in order, every weight's bit (`mask.i`).

    Its meta tells the `step`, or `refused`, "unsaved" or "too_large". None for a run without a frame.
    """
    newest = store.frame(run_id)
    if newest is None:
        return None
    entries = decode_meta(newest.payload)["matrices"]
    if sum(entry["rows"] * entry["cols"] for entry in entries) > MAX_CELLS:
        return encode({}, {"type": "masks", "refused": "too_large"})
    with _one_at_a_time:
        saved = saved_arrays(store, run_id, *(f"sparsifier.masks.{entry['layer']}" for entry in entries))
        if saved is None:
            return encode({}, {"type": "masks", "refused": "unsaved"})
        step, masks = saved
        bits = {
            f"mask.{i}": np.packbits(mask.astype(bool), bitorder="little") for i, mask in enumerate(masks)
        }
        return encode(bits, {"type": "masks", "step": step})


def told_overlap(store: Store, run_id: str, other: str) -> bytes:
    """A blob of type `overlap`: the arrays of an `Overlap` and its `layers`, or why it is `refused`."""
    meta = {"type": "overlap", "run": run_id, "other": other}
    try:
        found = overlap(store, run_id, other)
    except Unlike as unlike:
        return encode({}, meta | {"refused": unlike.why})
    arrays = {
        "steps": found.steps.astype(np.uint32),
        "jaccard": found.jaccard.astype(np.float32),
        "overall": found.overall.astype(np.float32),
        "by_chance": found.by_chance.astype(np.float32),
    }
    return encode(arrays, meta | {"layers": list(found.layers)})
