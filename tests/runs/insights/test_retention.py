"""Masks predicted from retention counts."""

import numpy as np

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import encode
from sparsecore.runs.insights.masks import forecast
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.store import Store


def frame(step: int, count: list[int], mask: list[bool], pool: int = 1) -> LogEntry:
    """Return a frame of one pruned layer with four weights and one layer that is not pruned."""
    bits = np.packbits(np.array(mask), bitorder="little")
    arrays = {"count.0": np.array([[9, 9]], np.uint16), "mask.0": np.packbits([1, 1], bitorder="little")}
    arrays |= {"count.1": np.array([count], np.uint16), "mask.1": bits}
    matrices = [{"layer": 0, "rows": 1, "cols": 2, "pool": [1, 1]}]
    matrices.append({"layer": 1, "rows": 1, "cols": 4, "pool": [1, pool]})
    layers = [{"prunable": False}, {"prunable": True}]
    return LogEntry(
        "frame",
        step,
        encode(arrays, {"step": step, "matrices": matrices, "layers": layers}),
    )


def logged(store: Store, *entries: LogEntry) -> str:
    run_id = store.create(RunConfig(), worker="w")
    store.write(run_id, "w", entries[-1].step, entries)
    return run_id


def test_prediction_by_counts_matches_a_hand_computed_case(store: Store):
    early, late = [True, False, True, False], [True, True, False, False]
    run_id = logged(
        store,
        frame(1, [1, 0, 1, 0], early),  # most counted: places 1 and 3; of the final two, one
        frame(5, [5, 3, 2, 0], late),
        frame(9, [9, 7, 2, 0], late),
    )
    found = forecast(store, run_id)
    assert found.steps.tolist() == [1, 5, 9]
    assert found.by_counts.tolist() == [0.5, 1.0, 1.0]
    assert found.by_mask.tolist() == [0.5, 1.0, 1.0]
    assert (found.by_chance, found.last) == (0.5, 9)
    assert found.at(0.5) == (5, 1.0, 1.0)


def test_one_frame_or_pooled_weights_give_no_prediction(store: Store):
    one = frame(1, [1, 0, 1, 0], [True, False, True, False])
    assert forecast(store, logged(store, one)) is None
    blocks = [frame(step, [1, 0, 1, 0], [True, False, True, False], pool=2) for step in (1, 2)]
    assert forecast(store, logged(store, *blocks)) is None
