"""One matrix with every weight: from the last checkpoint, and only the arrays that it needs."""

import numpy as np
import pytest

from sparsecore.dashboard.server import matrices as module
from sparsecore.dashboard.server.matrices import full_matrix
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.blobs import decode, encode
from sparsecore.runs.store.log import Entry
from sparsecore.runs.store.saved_arrays import saved_arrays
from sparsecore.runs.store.store import Store

WEIGHT = np.array([[0.0, 1.5, 0.0], [-2.0, 0.0, 0.5]], dtype=np.float32)
COUNT = np.array([[0, 9, 1], [7, 0, 9]], dtype=np.int32)


@pytest.fixture
def run(store: Store) -> str:
    """A run whose second layer is drawn from block means."""
    made = store.create(RunConfig(), worker="w")
    layers = [
        {"name": "embedding", "shape": [9, 9], "kept": 81},
        {"name": "head", "shape": [2, 3], "kept": 3, "prunable": True},
    ]
    entry = {"layer": 1, "rows": 2, "cols": 3, "pool": [2, 3]}
    frame = encode({}, {"type": "frame", "matrices": [entry], "layers": layers})
    store.write(made, "w", 9, [Entry("frame", 9, frame)])
    return made


def save(store: Store, run: str) -> None:
    arrays = {
        "model.head.weight": WEIGHT,
        "sparsifier.masks.1": WEIGHT != 0,
        "sparsifier.counts.1": COUNT,
        "optimizer.0.exp_avg": np.zeros(1000, dtype=np.float32),
    }
    store.write(run, "w", 9, [], encode(arrays, {"step": 9}))


def test_every_weight_is_there(store: Store, run: str):
    save(store, run)
    arrays, meta = decode(full_matrix(store, run, 1))
    assert (meta["type"], meta["place"], meta["step"]) == ("matrix", 1, 9)
    assert meta["matrices"] == [{"layer": 0, "rows": 2, "cols": 3, "pool": [1, 1]}]
    assert meta["layers"][0]["kept"] == 3
    assert arrays["value.0"].tolist() == [1.5, -2.0, 0.5]
    assert arrays["count.0"].tolist() == COUNT.ravel().tolist()
    mask = np.unpackbits(arrays["mask.0"], bitorder="little")[:6]
    assert mask.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_run_that_is_not_saved_yet_says_so(store: Store, run: str):
    assert decode(full_matrix(store, run, 1))[1]["refused"] == "unsaved"


@pytest.mark.parametrize("place", [-1, 0, 2, 10**9])
def test_a_place_without_a_drawn_matrix_is_nothing(place: int, store: Store, run: str):
    save(store, run)
    assert full_matrix(store, run, place) is None


def test_a_run_without_a_frame_is_nothing(store: Store):
    assert full_matrix(store, store.create(RunConfig()), 0) is None


def test_more_cells_than_a_screen_are_refused(store: Store, run: str, monkeypatch: pytest.MonkeyPatch):
    save(store, run)
    monkeypatch.setattr(module, "MAX_CELLS", 5)
    arrays, meta = decode(full_matrix(store, run, 1))
    assert (arrays, meta["refused"]) == ({}, "too_large")


def test_only_the_arrays_asked_for_are_read(store: Store, run: str):
    assert saved_arrays(store, run, "model.head.weight") is None
    save(store, run)
    step, (weight,) = saved_arrays(store, run, "model.head.weight")
    assert step == 9
    assert (weight == WEIGHT.ravel()).all()
    with pytest.raises(KeyError):
        saved_arrays(store, run, "model.tail.weight")
