"""Answers of the live route with every weight: one matrix, all masks, and the overlap of two runs' masks."""

import threading
from math import prod

import numpy as np

from sparsecore.engine.training.blobs import encode
from sparsecore.engine.training.frame_layout import (
    VERSION,
    exact_matrix,
    indexed,
    matrix_entry,
    packed,
    saved_names,
)
from sparsecore.engine.training.frame_reading import Frame, Matrix
from sparsecore.runs.insights.masks import IncomparableMasks, overlap
from sparsecore.runs.store.saved_state import saved_arrays
from sparsecore.runs.store.store import Store

MAX_CELLS = 4_194_304  # a matrix of 2,048 × 2,048: 30 MB for a viewer, and more pixels than any screen
_one_at_a_time = threading.Lock()  # thirty viewers must not hold thirty large matrices at once


def full_matrix(store: Store, run_id: str, place: int) -> bytes | None:
    """A blob of type `matrix`, laid out as a frame with one matrix: that of the layer at `place`.

    Its meta has `refused`, "unsaved" or "too_large", where there is nothing to show. None for a place without
    a drawn matrix.
    """
    newest = store.frame(run_id)
    if newest is None:
        return None
    drawn = {matrix.place: matrix for matrix in Frame.read(newest.payload, arrays=False).matrices}
    if place not in drawn:
        return None
    with _one_at_a_time:
        return _read(store, run_id, drawn[place])


def _read(store: Store, run_id: str, matrix: Matrix) -> bytes:
    meta = {"type": "matrix", "place": matrix.place}
    if prod(matrix.shape) > MAX_CELLS:
        return encode({}, meta | {"refused": "too_large"})
    saved = saved_arrays(store, run_id, *saved_names(matrix.place, matrix.layer["name"]))
    if saved is None:
        return encode({}, meta | {"refused": "unsaved"})
    step, (mask, count, value) = saved
    kept = mask.astype(bool)
    layer = matrix.layer | {"kept": int(kept.sum())}
    meta |= {"version": VERSION, "step": step, "matrices": [matrix_entry(0, matrix.shape)], "layers": [layer]}
    return encode(indexed(0, exact_matrix(kept, count, value.astype(np.float32))), meta)


def last_masks(store: Store, run_id: str) -> bytes | None:
    """A blob of type `masks`: one bit for every weight of each drawn matrix, as last saved.

    Its meta has the `step`, or `refused`: "unsaved" or "too_large". None for a run without a frame.
    """
    newest = store.frame(run_id)
    if newest is None:
        return None
    drawn = Frame.read(newest.payload, arrays=False).matrices
    if sum(prod(matrix.shape) for matrix in drawn) > MAX_CELLS:
        return encode({}, {"type": "masks", "refused": "too_large"})
    with _one_at_a_time:
        names = (saved_names(matrix.place, matrix.layer["name"])[0] for matrix in drawn)
        saved = saved_arrays(store, run_id, *names)
        if saved is None:
            return encode({}, {"type": "masks", "refused": "unsaved"})
        step, masks = saved
        bits: dict[str, np.ndarray] = {}
        for index, mask in enumerate(masks):
            bits |= indexed(index, {"mask": packed(mask.astype(bool))})
        return encode(bits, {"type": "masks", "step": step})


def overlap_of(store: Store, run_id: str, other: str) -> bytes:
    """A blob of type `overlap`: the arrays of an `Overlap` and its `layers`, or why it is `refused`."""
    meta = {"type": "overlap", "run": run_id, "other": other}
    try:
        found = overlap(store, run_id, other)
    except IncomparableMasks as unlike:
        return encode({}, meta | {"refused": unlike.why})
    arrays = {
        "steps": found.steps.astype(np.uint32),
        "jaccard": found.jaccard.astype(np.float32),
        "overall": found.overall.astype(np.float32),
        "by_chance": found.by_chance.astype(np.float32),
    }
    return encode(arrays, meta | {"layers": list(found.layers)})
