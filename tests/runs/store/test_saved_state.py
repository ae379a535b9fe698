"""The state of a large run in files beside the store: what a crash loses, what is believed, what is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparsecore.engine.training import loop
from sparsecore.engine.training.blobs import DTYPES, decode, encode, pieces
from sparsecore.engine.training.events import Checkpoint
from sparsecore.runs.store import saved_state as beside_module
from sparsecore.runs.store.saved_state import FOLDER, HEAD_BYTES, StateFiles, saved_arrays, tidy
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers import worker as worker_module
from tests.runs.workers.test_worker import (
    Crash,
    assert_same,
    begun,
    config,
    crash_at,
    saved,
    soon,
    straight,
    work,
    working,
)

STEPS = 150


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every state is large, is taken all the time, and the store takes none before a minute has passed."""
    monkeypatch.setattr(beside_module, "LARGE", 0)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.01)
    monkeypatch.setattr(worker_module, "CHECKPOINT_SECONDS", 60.0)


def files(store: Store) -> list[str]:
    return sorted(place.name for place in (store.home / FOLDER).glob("*"))


def crashed(store: Store, at: int = 117) -> str:
    """A run whose process is gone before the step after so many; it waits for another."""
    run = begun(store, max_steps=STEPS)
    with pytest.raises(Crash):
        work(store, run, on_event=crash_at(at))
    assert files(store) == [f"{run}.0", f"{run}.1"]
    assert store.checkpoint(run)[0] < StateFiles(store, run).newest().step <= at
    store.recover(run, "w", "it is gone.")
    assert store.claim(run, "next")
    return run


def goes_on_as_if_left_alone(store: Store, run: str, since: int) -> None:
    """Another worker goes on after this step, and nothing of the run is lost or told twice."""
    steps: list[int] = []
    ended = work(store, run, "next", on_event=lambda event: steps.append(getattr(event, "step", since)))
    assert ended.step == STEPS
    assert min(steps) == since
    assert_same(saved(store, run)[1], straight(config(max_steps=STEPS)))
    records = [row.step for row in store.entries(run, ["record"])]
    assert records == [0, 20, 40, 60, 80, 100, 120, 140, 150]
    assert files(store) == []


def tear(place: Path) -> None:
    """Change one byte of a file, as a machine that ended while it was written leaves it."""
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)


def by_step(store: Store, run: str) -> list[Path]:
    """The two files, the one of the later step last."""
    beside = StateFiles(store, run)
    beside.newest()
    return beside.paths


# -- what a crash loses -----------------------------------------------------------------------------------


def test_a_crash_loses_only_what_came_after_the_last_file(store: Store):
    run = crashed(store)
    goes_on_as_if_left_alone(store, run, StateFiles(store, run).newest().step)


def test_a_crash_while_a_file_is_written_leaves_the_one_before(store: Store):
    run = crashed(store)
    older, newer = by_step(store, run)
    before = beside_module._read(older).step
    tear(newer)
    goes_on_as_if_left_alone(store, run, before)


@pytest.mark.parametrize("change", [tear, lambda place: place.write_bytes(place.read_bytes()[:-9])])
def test_where_no_file_is_whole_the_store_is_what_counts(store: Store, change):
    run = crashed(store)
    for place in by_step(store, run):
        change(place)
    goes_on_as_if_left_alone(store, run, store.checkpoint(run)[0])


def test_a_file_older_than_the_store_is_not_believed(store: Store):
    run = crashed(store)
    step, blob = store.checkpoint(run)
    for place in by_step(store, run):
        place.unlink()
    arrays, meta = decode(blob)
    StateFiles(store, run).write(Checkpoint(step - 1, {"wrong": arrays["model.fc1.weight"]}, meta))
    goes_on_as_if_left_alone(store, run, step)


def test_a_worker_begins_with_the_file_that_is_not_the_newest(store: Store):
    run = crashed(store)
    newest, beside = StateFiles(store, run).newest(), StateFiles(store, run)
    assert beside.newest().step == newest.step
    arrays, meta = newest.arrays, newest.meta
    with pytest.raises(TypeError):  # in the middle of writing
        beside.write(Checkpoint(newest.step + 1, arrays, meta | {"more": object()}))
    assert StateFiles(store, run).newest().step == newest.step


def test_a_run_that_crashes_again_and_again_but_gets_on_is_not_given_up(store: Store):
    run = begun(store, max_steps=STEPS)
    for crash in range(5):
        name = "w" if crash == 0 else "next"
        with pytest.raises(Crash):
            work(store, run, name, on_event=crash_at(30 + 20 * crash))
        store.recover(run, name, "it is gone.")
        assert store.claim(run, "next")
    goes_on_as_if_left_alone(store, run, StateFiles(store, run).newest().step)


# -- what is in the store all the same --------------------------------------------------------------------


def test_what_somebody_waits_for_is_in_the_store(store: Store):
    run = begun(store, max_steps=1_000_000)
    with working(store, run) as gone:
        soon(lambda: files(store))
        store.command(run, "pause")
        soon(lambda: store.get(run).state == "paused" and store.checkpoint(run)[0] == store.get(run).step)
        gone.set()
        soon(lambda: store.get(run).worker is None)
    assert files(store) == []


def test_now_and_then_the_store_takes_the_state_too(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker_module, "CHECKPOINT_SECONDS", 0.2)
    run = begun(store, max_steps=1_000_000)
    with working(store, run) as gone:
        first = soon(lambda: store.checkpoint(run))[0]
        later = soon(lambda: (now := store.checkpoint(run)[0]) > first and now)
        assert files(store)
        gone.set()
    assert store.checkpoint(run)[0] >= later


def test_where_no_file_can_be_written_the_store_takes_all(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker_module, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(worker_module, "SAVE_SHARE", 1.0)  # each of them, however long the machine takes
    (store.home / FOLDER).write_text("this is no folder")
    run = begun(store, max_steps=STEPS)
    with pytest.raises(Crash):
        work(store, run, on_event=crash_at(117))
    assert 60 < store.checkpoint(run)[0] <= 117


def test_small_states_and_shared_databases_have_no_files(store: Store, monkeypatch: pytest.MonkeyPatch):
    taken = next(event for event in loop.train(config()) if isinstance(event, Checkpoint))
    assert StateFiles(store, "run").is_large(taken)
    monkeypatch.setattr(beside_module, "LARGE", 4_000_000)
    assert not StateFiles(store, "run").is_large(taken)
    monkeypatch.setattr(beside_module, "LARGE", 0)
    monkeypatch.setattr(beside_module, "is_networked", lambda url: True)
    assert not StateFiles(store, "run").is_large(taken)


# -- what is left -----------------------------------------------------------------------------------------


def test_files_of_runs_that_are_over_or_gone_are_removed(store: Store):
    run, gone = crashed(store), begun(store)
    state: dict[str, Any] = {"arrays": {"x": np.zeros(3)}, "meta": {}}
    StateFiles(store, gone).write(Checkpoint(1, **state))
    StateFiles(store, "deleted1").write(Checkpoint(1, **state))
    store.finish(gone, "w", 1, "stopped", {}, {})
    tidy(store)
    assert files(store) == [f"{run}.0", f"{run}.1"]


def test_a_file_that_is_too_short_for_its_head_is_no_state(store: Store):
    place = StateFiles(store, "run").paths[0]
    place.parent.mkdir()
    for size in (0, HEAD_BYTES - 1, HEAD_BYTES):
        place.write_bytes(bytes(size))
        assert StateFiles(store, "run").newest() is None


# -- blobs in pieces --------------------------------------------------------------------------------------


def test_pieces_make_a_blob_that_is_read_as_every_other(store: Store):
    arrays = {f"a{code}": np.arange(6).reshape(2, 3).astype(name) for code, name in DTYPES.items()}
    arrays |= {"scalar": np.float32(2.0), "none": np.zeros((0, 4)), "turned": np.arange(6.0).reshape(2, 3).T}
    meta = {"name": "层", "value": 0.1}
    for blob in (b"".join(pieces(arrays, meta)), encode(arrays, meta)):
        found, told = decode(blob)
        assert told == meta
        assert {name: array.shape for name, array in found.items()} == {
            name: array.shape for name, array in arrays.items()
        }
        assert_same(found, arrays)
    run = begun(store)
    store.write(run, "w", 3, [], b"".join(pieces(arrays, meta)))
    step, (read, turned) = saved_arrays(store, run, "aU16", "turned")
    assert (step, read.tolist(), turned.tolist()) == (3, [*range(6)], [0, 3, 1, 4, 2, 5])


def test_blobs_of_the_same_arrays_are_of_the_same_size():
    arrays = {"x": np.zeros(1_000, np.float32)}
    sizes = {len(b"".join(pieces(arrays, {"seconds": 1 / n, "text": "x" * n}))) for n in range(1, 50)}
    assert len(sizes) == 1
    assert json.loads(pieces(arrays, {})[1])["x"]["data_offsets"] == [0, 4_000]
