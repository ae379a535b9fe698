"""From real runs to a record, its file, its pictures and the figures drawn of them."""

from pathlib import Path

import numpy as np
import pytest

from sparsecore.figures.paper import paper_figure
from sparsecore.paper import gather, pictures, record
from sparsecore.paper.pictures import FIGURES, Picture, figures_of
from sparsecore.paper.plan import Plan
from sparsecore.paper.record import command_of, pictures_path, ship, shipped
from sparsecore.runs.store.store import Store
from sparsecore.words import speaker

SAY = speaker("en")


@pytest.fixture
def found(trained):
    store, plans = trained
    return gather.found(store, plans["3-1"])


def test_a_record_has_every_run_of_the_table_and_what_it_reached(found):
    assert found.finished
    assert len(found.trials) == 22  # dense, two methods at ten densities, keep_alive
    by_column = {trial.column for trial in found.trials}
    assert by_column == {"dense", "global", "layerwise", "keep_alive"}
    for trial in found.trials:
        assert (trial.metric, trial.step) == ("rmse", 3)
        assert (
            trial.nonzeros == trial.budget == sum(layer.nonzeros for layer in trial.layers if layer.prunable)
        )
    assert found.densities[0] == 1.0
    assert found.densities[-1] == 0.05


def test_what_was_trained_once_is_not_begun_again(trained):
    store, plans = trained
    before = len(store.list())
    gather.begin(store, plans["3-1"])
    assert len(store.list()) == before
    assert gather.unfinished(gather.cells_of(store, plans["3-1"])) == 0
    assert {sweep.spec.task for sweep in gather.begun(store, plans["3-1"])} == {"sinc"}


def test_a_shipped_record_comes_back_as_it_was(found, tmp_path: Path):
    path = ship(found, tmp_path)
    assert path.stat().st_size < 1_000 * len(found.trials)
    assert shipped("3-1", tmp_path) == found
    assert shipped("3-2", tmp_path) is None
    assert gather.plan_of(found) == Plan("3-1", (0,), "demo", parameters={"max_steps": 3})


def test_an_unfinished_record_is_not_shipped(store: Store, tmp_path: Path):
    empty = gather.found(store, Plan("3-1", (0,), "demo"))
    with pytest.raises(ValueError, match="22 of 22 runs have not ended"):
        ship(empty, tmp_path)
    assert not list(tmp_path.glob("*.json"))


def test_a_record_without_a_commit_is_not_shipped(found, tmp_path: Path):
    with pytest.raises(ValueError, match="names its commit"):
        ship(found.model_copy(update={"commit": None}), tmp_path)


def test_a_file_with_anything_unknown_in_it_is_refused(found, tmp_path: Path):
    path = ship(found, tmp_path)
    path.write_text(path.read_text().replace('"seeds"', '"seedz"', 1))
    with pytest.raises(ValueError, match="seed"):
        shipped("3-1", tmp_path)


def test_the_command_names_all_that_decides_the_runs():
    plan = Plan("3-4", (3,), "demo", True, {"max_steps": 9, "data": "weeks"})
    named = "--seeds 3 --size demo --further --max-steps 9 --data weeks"
    assert command_of(plan) == f"python -m sparsecore reproduce 3-4 {named}"


def test_the_commit_is_that_of_the_program():
    assert record.commit() is None or len(record.commit().removesuffix("+changes")) == 40


# -- pictures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["3-1", "3-2"])
def test_every_figure_of_a_trained_table_is_drawn(trained, table: str):
    store, plans = trained
    shown = gather.pictures(store, plans[table])
    for figure in figures_of(table):
        drawn = paper_figure(figure, gather.shown_in(figure, plans[table], shown), SAY)
        assert len(drawn.data) >= 2, figure.number
        drawn.to_json()


def test_the_counts_and_the_mask_are_those_of_the_run(trained):
    store, plans = trained
    shown = gather.pictures(store, plans["3-1"])
    (picture,) = gather.shown_in(FIGURES["3-2"], plans["3-1"], shown)
    matrices = picture.matrices()
    assert [matrix["mask"].shape for matrix in matrices] == [(16, 1), (16, 16), (1, 16)]
    assert sum(int(matrix["mask"].sum()) for matrix in matrices) == round(0.4 * 288) == 115
    assert all(matrix["count"].max() <= 3 for matrix in matrices)
    assert all((matrix["count"][matrix["mask"]] > 0).all() for matrix in matrices)
    counts = paper_figure(FIGURES["3-2"], [picture], SAY)
    assert np.array_equal(counts.data[1].z, matrices[1]["count"])
    mask = paper_figure(FIGURES["3-3"], [picture], SAY)
    assert np.array_equal(mask.data[1].z, matrices[1]["mask"])
    assert f"W2: {int(matrices[1]['mask'].sum())} of 256" in [note.text for note in mask.layout.annotations]


def test_pictures_come_back_from_their_file(trained, tmp_path: Path):
    store, plans = trained
    shown = gather.pictures(store, plans["3-2"])
    path = pictures_path("3-2", tmp_path)
    pictures.save(shown, path)
    again = gather.shipped_pictures("3-2", tmp_path)
    assert again.keys() == shown.keys()
    for digest, picture in shown.items():
        assert again[digest].meta == picture.meta
        assert all(
            np.array_equal(again[digest].arrays[name], array) for name, array in picture.arrays.items()
        )
    assert path.stat().st_size < 500_000


def test_no_file_and_no_run_are_no_pictures(store: Store, tmp_path: Path):
    assert gather.shipped_pictures("3-1", tmp_path) == {}
    plan = Plan("3-1", (0,), "demo")
    assert gather.pictures(store, plan) == {}
    assert gather.shown_in(FIGURES["3-4"], plan, {}) == []


def test_test_and_training_points_of_the_spirals_differ_in_shape(trained):
    store, plans = trained
    shown = gather.pictures(store, plans["3-2"])
    drawn = paper_figure(FIGURES["3-7"], gather.shown_in(FIGURES["3-7"], plans["3-2"], shown), SAY)
    symbols = [symbol for trace in drawn.data for symbol in trace.marker.symbol]
    assert len(symbols) == 2_000
    assert sum(symbol.endswith("-open") for symbol in symbols) == 400


def test_accuracies_are_drawn_by_epoch_in_percent():
    arrays = {"epochs.step": np.array([0, 10, 20]), "epochs.test": np.array([0.2, 0.5, 0.6])}
    runs = [
        Picture("r", name, 0.1, "demo", arrays, {"steps_an_epoch": 10}) for name in ("global", "layerwise")
    ]
    drawn = paper_figure(FIGURES["3-14"], runs, SAY)
    assert [list(trace.x) for trace in drawn.data] == [[0, 1, 2]] * 2
    assert list(drawn.data[0].y) == [20, 50, 60]
    assert {trace.line.color for trace in drawn.data} == {"#e69f00", "#0072b2"}
