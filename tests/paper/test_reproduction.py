"""From trained runs to a reproduction, its file, its pictures and its figures."""

from pathlib import Path

import numpy as np
import pytest

from sparsecore.figures.paper import paper_figure
from sparsecore.paper import pictures, reproduction
from sparsecore.paper.pictures import FIGURES, Picture, figures_of
from sparsecore.paper.plan import TablePlan
from sparsecore.paper.reproduction import (
    all_cells,
    command_for,
    enqueue,
    enqueued_sweeps,
    load_pictures,
    load_reproduction,
    load_shipped,
    load_shipped_pictures,
    pictures_of,
    pictures_path,
    plan_of,
    write_shipped,
)
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps.spec import count_ended
from sparsecore.words import speaker

SAY = speaker("en")


@pytest.fixture
def found(trained):
    store, plans = trained
    return load_reproduction(store, plans["3-1"])


def test_a_reproduction_has_every_run_of_the_table_with_its_result(found):
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


def test_trained_runs_are_not_enqueued_again(trained):
    store, plans = trained
    before = len(store.list())
    enqueue(store, plans["3-1"])
    assert len(store.list()) == before
    cells = all_cells(store, plans["3-1"])
    assert count_ended(cells) == len(cells)
    assert {sweep.spec.task for sweep in enqueued_sweeps(store, plans["3-1"])} == {"sinc"}


def test_a_shipped_reproduction_loads_unchanged(found, tmp_path: Path):
    path = write_shipped(found, tmp_path)
    assert path.stat().st_size < 1_000 * len(found.trials)
    assert load_shipped("3-1", tmp_path) == found
    assert load_shipped("3-2", tmp_path) is None
    assert plan_of(found) == TablePlan("3-1", (0,), "demo", parameters={"max_steps": 3})


def test_an_unfinished_reproduction_is_not_shipped(store: Store, tmp_path: Path):
    empty = load_reproduction(store, TablePlan("3-1", (0,), "demo"))
    with pytest.raises(ValueError, match="22 of 22 runs have not ended"):
        write_shipped(empty, tmp_path)
    assert not list(tmp_path.glob("*.json"))


def test_a_reproduction_without_a_commit_is_not_shipped(found, tmp_path: Path):
    with pytest.raises(ValueError, match="records its commit"):
        write_shipped(found.model_copy(update={"commit": None}), tmp_path)


def test_a_file_with_an_unknown_field_is_refused(found, tmp_path: Path):
    path = write_shipped(found, tmp_path)
    path.write_text(path.read_text().replace('"seeds"', '"seedz"', 1))
    with pytest.raises(ValueError, match="seed"):
        load_shipped("3-1", tmp_path)


def test_the_command_contains_every_setting():
    plan = TablePlan("3-4", (3,), "demo", True, {"max_steps": 9, "data": "weeks"})
    named = "--seeds 3 --size demo --further --max-steps 9 --data weeks"
    assert command_for(plan) == f"python -m sparsecore reproduce 3-4 {named}"


def test_the_commit_is_that_of_the_program():
    assert reproduction.commit() is None or len(reproduction.commit().removesuffix("+changes")) == 40


# -- pictures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["3-1", "3-2"])
def test_every_figure_of_a_trained_table_is_drawn(trained, table: str):
    store, plans = trained
    shown = load_pictures(store, plans[table])
    for figure in figures_of(table):
        drawn = paper_figure(figure, pictures_of(figure, plans[table], shown), SAY)
        assert len(drawn.data) >= 2, figure.number
        drawn.to_json()


def test_counts_and_mask_equal_those_of_the_run(trained):
    store, plans = trained
    shown = load_pictures(store, plans["3-1"])
    (picture,) = pictures_of(FIGURES["3-2"], plans["3-1"], shown)
    matrices = picture.matrices
    assert [matrix.shape for matrix in matrices] == [(16, 1), (16, 16), (1, 16)]
    assert sum(int(matrix.mask.sum()) for matrix in matrices) == round(0.4 * 288) == 115
    assert all(matrix.array("count").max() <= 3 for matrix in matrices)
    assert all((matrix.array("count")[matrix.mask] > 0).all() for matrix in matrices)
    counts = paper_figure(FIGURES["3-2"], [picture], SAY)
    assert np.array_equal(counts.data[1].z, matrices[1].array("count"))
    mask = paper_figure(FIGURES["3-3"], [picture], SAY)
    assert np.array_equal(mask.data[1].z, matrices[1].mask)
    assert f"W2: {int(matrices[1].mask.sum())} of 256" in [note.text for note in mask.layout.annotations]


def test_saved_pictures_load_unchanged(trained, tmp_path: Path):
    store, plans = trained
    shown = load_pictures(store, plans["3-2"])
    path = pictures_path("3-2", tmp_path)
    pictures.write_pictures(shown, path)
    again = load_shipped_pictures("3-2", tmp_path)
    assert again.keys() == shown.keys()
    for digest, picture in shown.items():
        assert again[digest].meta == picture.meta
        assert all(
            np.array_equal(again[digest].arrays[name], array) for name, array in picture.arrays.items()
        )
    assert path.stat().st_size < 500_000


def test_a_missing_file_or_run_gives_no_pictures(store: Store, tmp_path: Path):
    assert load_shipped_pictures("3-1", tmp_path) == {}
    plan = TablePlan("3-1", (0,), "demo")
    assert load_pictures(store, plan) == {}
    assert pictures_of(FIGURES["3-4"], plan, {}) == []


def test_test_points_of_the_spirals_are_open_symbols(trained):
    store, plans = trained
    shown = load_pictures(store, plans["3-2"])
    drawn = paper_figure(FIGURES["3-7"], pictures_of(FIGURES["3-7"], plans["3-2"], shown), SAY)
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
