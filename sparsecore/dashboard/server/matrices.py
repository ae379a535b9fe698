"""Answers of the live route with every weight: one matrix, all masks, and the overlap of two runs' masks."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from sparsecore.runs.insights.overlap import Unlike, overlap
from sparsecore.runs.store.blobs import decode_meta, encode
from sparsecore.runs.store.saved_arrays import saved_arrays
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


def last_masks(store: Store, run_id: str) -> bytes | None:
    """A blob of type `masks`: one bit for every weight of each drawn matrix, as last saved.

    Its meta has the `step`, or `refused`: "unsaved" or "too_large". None for a run without a frame.
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


def overlap_of(store: Store, run_id: str, other: str) -> bytes:
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
