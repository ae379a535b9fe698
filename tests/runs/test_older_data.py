"""What an older version of the program wrote opens: its store, its sweep, its archives."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.frame_reading import Frame, Scene, check_frame
from sparsecore.runs.files.archive import export_run, import_run
from sparsecore.runs.insights.masks import overlap
from sparsecore.runs.store.catalogue import RunFilter, find
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.workers.worker import Worker
from tests.older_data import ARCHIVES, DENSE, SINC, SPIRALS, SWEEP, older_archive, older_home

DIGESTS = {SINC: "405318c7cf195da4", SPIRALS: "5b35eed9905eec37", DENSE: "e340dac6e6382870"}
CELLS = {"f88fc44a5a4a20ba": "6um224xk", "789e1657a528074a": "gxv3gwqh", "4a0ea432b7fc0a0b": "pg4kaqhc"}
KINDS = ("scene", "record", "frame", "change")


@pytest.fixture
def older(home: Path) -> Iterator[Store]:
    """The store of the older version, opened by this one."""
    opened = Store(older_home(home))
    yield opened
    opened.close()


def test_its_runs_are_listed_with_name_note_and_pin(older: Store):
    listed = find(older, RunFilter())
    assert {run.id for run in listed} >= DIGESTS.keys()
    assert len(listed) == 3 + len(CELLS)
    assert [run.id for run in listed if run.pinned] == [SPIRALS]
    pinned = older.get(SPIRALS)
    assert (pinned.name, pinned.note) == ("the two spirals", "made by the code before the rooms")
    assert (pinned.state, pinned.reason, pinned.step) == ("ended", "max_steps", 40)


def test_its_runs_keep_their_digests(older: Store):
    for run, digest in DIGESTS.items():
        config = older.get(run).config
        assert config.digest() == digest
        assert RunConfig.parse(config.model_dump()).digest() == digest


def test_the_cells_of_its_sweep_are_found_and_not_trained_again(older: Store):
    found = stored.get(older, SWEEP)
    assert {config.digest() for config in found.spec.configs()} == CELLS.keys()
    assert stored.begin(older, found.spec) == SWEEP
    assert {cell.run.id for cell in stored.cells_of(older, found.spec)} == set(CELLS.values())
    assert not any(run.active for run in older.list())


@pytest.mark.parametrize("name", ARCHIVES)
def test_its_archives_are_imported_and_are_the_runs_of_its_store(store: Store, tmp_path: Path, name: str):
    found = import_run(store, io.BytesIO(older_archive(name)))
    assert (found.run, found.new, found.renamed) == (ARCHIVES[name], True, False)
    there = Store(older_home(tmp_path / "older"))
    assert store.get(found.run).result == there.get(found.run).result
    assert store.checkpoint(found.run) == there.checkpoint(found.run)
    rows = [[tuple(row)[1:] for row in each.entries(found.run, KINDS)] for each in (store, there)]
    assert rows[0] == rows[1]
    there.close()


@pytest.mark.parametrize("name", ARCHIVES)
def test_its_archives_are_exported_again_byte_for_byte(store: Store, name: str):
    run = import_run(store, io.BytesIO(older_archive(name))).run
    file = io.BytesIO()
    export_run(store, run, file)
    assert file.getvalue() == older_archive(name)


def test_its_config_trained_by_this_version_reaches_the_same(older: Store):
    again = older.create(older.get(SINC).config, worker="w")
    Worker(older, older.get(again), "w").work()
    reached = [older.get(run).result["metrics"]["test"] for run in (again, SINC)]
    assert reached[0] == pytest.approx(reached[1], rel=1e-4)  # of another machine, but for the last digits


def test_its_frames_replay(older: Store):
    for run in older.list():
        scene = Scene.read(older.entries(run.id, ["scene"])[0].payload)
        frames = [Frame.read(older.frame(run.id, row).payload) for row, _ in older.frames(run.id)]
        assert [frame.step for frame in frames] == sorted(frame.step for frame in frames)
        assert frames[-1].step == run.step
        for frame in frames:
            assert frame.meta["version"] == 1
            check_frame(frame, scene)
            assert [int(each.mask.sum()) for each in frame.matrices] == [
                each.layer["kept"] for each in frame.matrices
            ]
        assert all(each.array("count").max() <= run.step for each in frames[-1].matrices)


def test_two_of_its_runs_are_compared(older: Store):
    found = overlap(older, SINC, DENSE)
    assert found.layers == ("fc1", "fc2", "fc3")
    assert found.steps[-1].tolist() == [60, 60, 30]
    assert found.jaccard[-1].tolist() == [1.0, 102 / 256, 1.0]
