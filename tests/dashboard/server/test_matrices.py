"""Answers with every weight: one matrix, all masks as last saved, and the overlap with another run."""

import json
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sparsecore.dashboard.server import matrices as module
from sparsecore.dashboard.server.live_route import LiveRoute, tokens
from sparsecore.dashboard.server.matrices import full_matrix, last_masks, overlap_of
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import decode, decode_meta, encode
from sparsecore.engine.training.frame_reading import Frame
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.saved_state import saved_arrays
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
    frame = encode({}, {"step": 9, "matrices": [entry], "layers": layers})
    store.write(made, "w", 9, [LogEntry("frame", 9, frame)])
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


# -- all masks, and the overlap of two runs

MASKS = [[[True, False], [False, False]], [[True, True, False]]]


def made(store: Store, *masks: list[list[bool]], saved: bool = True) -> str:
    """A run with a frame of these masks, whose first layer is an embedding that no frame draws."""
    run = store.create(RunConfig(), worker="w")
    arrays = {
        f"mask.{i}": np.packbits(np.array(mask).ravel(), bitorder="little") for i, mask in enumerate(masks)
    }
    shapes = [np.array(mask).shape for mask in masks]
    layers = [{"name": "embedding", "shape": [9, 9], "prunable": False}]
    layers += [{"name": f"fc{i}", "shape": list(shape), "prunable": True} for i, shape in enumerate(shapes)]
    entries = [
        {"layer": i + 1, "rows": rows, "cols": cols, "pool": [1, 1]} for i, (rows, cols) in enumerate(shapes)
    ]
    frame = Frame(40, arrays, {"step": 40, "method": "global", "matrices": entries, "layers": layers}).blob()
    kept = {f"sparsifier.masks.{i + 1}": np.array(mask) for i, mask in enumerate(masks)}
    kept["sparsifier.masks.0"] = np.ones((9, 9), dtype=bool)
    store.write(run, "w", 40, [LogEntry("frame", 40, frame)], encode(kept, {}) if saved else None)
    return run


def test_every_bit_of_every_drawn_matrix_as_saved(store: Store):
    arrays, meta = decode(last_masks(store, made(store, *MASKS)))
    assert meta == {"type": "masks", "step": 40}
    assert np.unpackbits(arrays["mask.0"], bitorder="little")[:4].tolist() == [1, 0, 0, 0]
    assert np.unpackbits(arrays["mask.1"], bitorder="little")[:3].tolist() == [1, 1, 0]


def test_masks_that_are_not_there_say_why(store: Store, monkeypatch: pytest.MonkeyPatch):
    assert last_masks(store, store.create(RunConfig())) is None
    run = made(store, *MASKS, saved=False)
    assert decode_meta(last_masks(store, run))["refused"] == "unsaved"
    monkeypatch.setattr(module, "MAX_CELLS", 6)
    assert decode_meta(last_masks(store, run))["refused"] == "too_large"


def test_the_overlap_is_told_with_its_layers_and_steps(store: Store):
    first, second = made(store, *MASKS), made(store, MASKS[0], [[False, True, True]])
    arrays, meta = decode(overlap_of(store, first, second))
    assert meta == {"type": "overlap", "run": first, "other": second, "layers": ["fc0", "fc1"]}
    assert arrays["steps"].tolist() == [[40, 40, 40]]
    assert arrays["jaccard"].tolist() == pytest.approx(np.array([[1.0, 1 / 3]]))
    assert arrays["overall"].tolist() == pytest.approx([2 / 4])


def test_an_overlap_that_cannot_be_told_says_why(store: Store):
    first, second = made(store, MASKS[0]), made(store, MASKS[1])
    assert decode_meta(overlap_of(store, first, second))["refused"] == "shapes"


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=LiveRoute(store).routes())) as opened:
        yield opened


def test_a_viewer_asks_for_the_overlap_with_a_run_that_he_may_watch(client: TestClient, store: Store):
    first, second = made(store, *MASKS), made(store, *MASKS)
    leave, forged = tokens(store).issue(second), tokens(store).issue(first)
    path, here = f"/live/{first}?token={tokens(store).issue(first)}", {"origin": "http://testserver"}
    # The test client cancels the route as it leaves, which a server does not.
    with suppress(CancelledError), client.websocket_connect(path, headers=here) as socket:
        assert json.loads(socket.receive_text())["type"] == "hello"
        assert decode_meta(_blob(socket))["type"] == "frame"
        for junk in (True, [], {"run": second}, {"run": second, "token": forged}, {"run": 7, "token": leave}):
            socket.send_json({"overlap": junk})
        socket.send_json({"masks": True})
        assert decode_meta(_blob(socket))["type"] == "masks"  # and none was told before it
        socket.send_json({"overlap": {"run": second, "token": leave}})
        told = decode_meta(_blob(socket))
        assert (told["type"], told["other"]) == ("overlap", second)


def _blob(socket) -> bytes:
    """The next binary message; whatever is told in between is passed over."""
    while True:
        message = socket.receive()
        if message.get("bytes") is not None:
            return message["bytes"]
