"""The overlap of two runs' masks: counted by hand, paired by step, as far as both logs go."""

import numpy as np
import pytest

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import encode
from sparsecore.runs.insights import masks as module
from sparsecore.runs.insights.masks import (
    IncomparableMasks,
    count_overlap,
    expected_overlap,
    frame_pairs,
    jaccard_index,
    overlap,
)
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.store import Store

KEPT_BY_BOTH = [[1, 1, 0, 0], [0, 0, 0, 0]]


def frame(
    *masks: list[list[int]], method: str = "global", exempt: tuple[int, ...] = (), pool: int = 1
) -> bytes:
    """A frame as a worker logs it, of these masks."""
    arrays, entries, layers = {}, [], []
    for place, mask in enumerate(masks):
        bits = np.array(mask)
        arrays[f"mask.{place}"] = np.packbits(bits.ravel(), bitorder="little")
        entries.append({"layer": place, "rows": bits.shape[0], "cols": bits.shape[1], "pool": [pool, pool]})
        layers.append({"name": f"fc{place + 1}", "shape": list(bits.shape), "prunable": place not in exempt})
    return encode(arrays, {"step": 0, "method": method, "matrices": entries, "layers": layers})


def logged(store: Store, frames: dict[int, bytes]) -> str:
    """A run whose log keeps these frames."""
    run = store.create(RunConfig(), worker="w")
    store.write(
        run, "w", max(frames, default=0), [LogEntry("frame", step, blob) for step, blob in frames.items()]
    )
    return run


def test_two_masks_are_counted_by_who_keeps_each_weight():
    first, second = np.packbits([1, 1, 1, 0, 0, 0, 0, 1, 0]), np.packbits([1, 0, 0, 0, 0, 0, 0, 1, 1])
    found = count_overlap(first, second, 9)
    assert found == (2, 2, 1, 4)  # both, first, second, neither
    assert jaccard_index(np.array(found)) == 2 / 5


def test_of_two_empty_masks_nothing_differs():
    assert jaccard_index(np.array([0, 0, 0, 4])) == 1.0


def test_masks_drawn_at_random_share_what_their_sizes_say():
    assert expected_overlap(np.array([1, 1, 1, 1])) == 1.0  # half of two


def test_each_layer_and_all_together_over_time(store: Store):
    first = logged(store, {0: frame([[1, 1], [1, 1]], [[1, 1]]), 10: frame([[1, 1], [0, 0]], [[1, 0]])})
    second = logged(store, {0: frame([[1, 1], [1, 1]], [[1, 1]]), 10: frame([[1, 0], [1, 0]], [[0, 1]])})
    found = overlap(store, first, second)
    assert found.layers == ("fc1", "fc2")
    assert found.steps.tolist() == [[0, 0, 0], [10, 10, 10]]
    assert found.jaccard.tolist() == [[1.0, 1.0], [1 / 3, 0.0]]
    assert found.overall.tolist() == [1.0, 1 / 5]
    # By chance: 2·2/4 and 1·1/2 weights in both, of six kept in all.
    assert found.by_chance.tolist() == [1.0, 1.5 / 4.5]


def test_a_layer_that_neither_constrains_is_left_out_of_all_together(store: Store):
    first = logged(store, {0: frame([[1, 0]], [[1, 1]], method="layerwise", exempt=(1,))})
    second = logged(store, {0: frame([[0, 1]], [[1, 1]], method="layerwise", exempt=(1,))})
    found = overlap(store, first, second)
    assert found.jaccard.tolist() == [[0.0, 1.0]]
    assert found.overall.tolist() == [0.0]


def test_a_dense_run_constrains_nothing_and_without_any_constraint_all_layers_count(store: Store):
    dense = frame([[1, 1]], [[1, 1]], method="dense")
    first, second = logged(store, {0: dense}), logged(store, {0: dense})
    assert overlap(store, first, second).overall.tolist() == [1.0]
    third = logged(store, {0: frame([[1, 0]], [[1, 1]], method="layerwise", exempt=(1,))})
    assert overlap(store, first, third).overall.tolist() == [0.5]


def test_each_step_pairs_the_last_frames_kept_by_then():
    found = frame_pairs([(1, 0), (3, 20), (5, 40)], [(2, 0), (4, 30)], until=40)
    assert found == [(0, 1, 2), (20, 3, 2), (30, 3, 4), (40, 5, 4)]


def test_the_curve_begins_where_both_have_a_frame():
    assert frame_pairs([(1, 7)], [(2, 0), (3, 9)], until=9) == [(7, 1, 2), (9, 1, 3)]


def test_a_long_run_gives_no_more_points_than_a_screen_tells_apart():
    frames = [(row, 20 * row) for row in range(600)]
    last = 599 * 20 + 7
    found = frame_pairs(frames, [(10_000 + row, step + 7) for row, step in frames], until=last)
    assert len(found) <= module.POINTS + 1
    assert found[-1] == (last, 599, 10_599)
    assert set(np.diff([step for step, *_ in found[1:-1]])) == {128}


def test_a_run_that_has_ended_stays_at_its_end_and_one_that_trains_is_not_run_ahead_of(store: Store):
    mask = frame(KEPT_BY_BOTH)
    short, long = logged(store, {0: mask, 10: mask}), logged(store, {0: mask, 10: mask, 90: mask})
    assert overlap(store, short, long).steps.tolist() == [[0, 0, 0], [10, 10, 10]]
    store.finish(short, "w", 10, "max_steps", {}, {})
    assert overlap(store, short, long).steps.tolist() == [[0, 0, 0], [10, 10, 10], [90, 10, 90]]


def test_what_was_counted_is_not_counted_again(store: Store, monkeypatch: pytest.MonkeyPatch):
    first = logged(store, {0: frame(KEPT_BY_BOTH), 10: frame(KEPT_BY_BOTH)})
    second = logged(store, {0: frame(KEPT_BY_BOTH)})
    overlap(store, first, second)
    counted = []
    monkeypatch.setattr(
        module, "count_overlap", lambda *given: counted.append(given) or count_overlap(*given)
    )
    store.write(second, "w", 10, [LogEntry("frame", 10, frame([[0, 0, 0, 1], [0, 0, 0, 0]]))])
    assert overlap(store, first, second).overall.tolist() == [1.0, 0.0]
    assert len(counted) == 1


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ({0: frame(KEPT_BY_BOTH)}, {0: frame([[1, 1, 0, 0]])}, "shapes"),
        ({0: frame(KEPT_BY_BOTH)}, {0: frame(KEPT_BY_BOTH, KEPT_BY_BOTH)}, "shapes"),
        ({0: frame(KEPT_BY_BOTH, pool=2)}, {0: frame([[1, 1, 0, 0]])}, "shapes"),
        ({0: frame(KEPT_BY_BOTH, pool=2)}, {0: frame(KEPT_BY_BOTH)}, "blocks"),
        ({0: frame(KEPT_BY_BOTH)}, {}, "frames"),
    ],
)
def test_masks_that_cannot_be_laid_on_each_other_are_refused(
    first: dict, second: dict, why: str, store: Store
):
    with pytest.raises(IncomparableMasks, match=why) as refused:
        overlap(store, logged(store, first), logged(store, second))
    assert refused.value.why == why
