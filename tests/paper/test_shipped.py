"""The shipped reproductions are complete, match the plan's configs, and reach the required quality."""

from collections.abc import Callable

import pytest

from sparsecore.paper.pictures import figures_of
from sparsecore.paper.plan import KEPT_ALIVE_AT
from sparsecore.paper.reproduction import (
    Reproduction,
    command_for,
    load_shipped,
    load_shipped_pictures,
    pictures_of,
    plan_of,
)

TARGETS: dict[str, Callable[[float], bool]] = {
    "3-1": lambda rmse: rmse <= 0.085,
    "3-2": lambda accuracy: accuracy >= 0.99,
}
KEPT_ALIVE_RMSE = 0.10
LOWEST = 0.05  # of the paper's densities


@pytest.fixture(params=TARGETS)
def found(request) -> Reproduction:
    return load_shipped(request.param)


def test_every_run_of_the_plan_is_shipped_and_finished(found):
    plan = plan_of(found)
    assert (plan.seeds, plan.size, plan.further, plan.parameters) == ((0, 1, 2), "paper", True, {})
    assert found.finished
    specs = plan.specs()
    planned = {config.digest() for name in ("grid", "kept_alive") for config in specs[name].configs()}
    assert {trial.digest for trial in found.trials} == planned
    assert found.command == command_for(plan)
    assert len(found.commit) == 40  # and nothing changed after it


def test_layerwise_reaches_its_target_at_every_printed_density(found):
    densities = [density for density in found.densities if LOWEST <= density < 1]
    assert len(densities) == 10
    reached = {(rho, trial.seed): trial.test for rho in densities for trial in found.of("layerwise", rho)}
    assert len(reached) == 30
    assert {cell: test for cell, test in reached.items() if not TARGETS[found.table](test)} == {}


def test_global_collapses_name_the_layer_and_minimum_counts_prevent_them(found):
    collapsed = found.of("global", KEPT_ALIVE_AT)
    assert {trial.status for trial in collapsed} == {"collapsed"}
    assert all(trial.detail["layer"] for trial in collapsed)
    cured = [trial.test for trial in found.of("keep_alive", KEPT_ALIVE_AT)]
    assert len(cured) == 3
    assert all(test <= KEPT_ALIVE_RMSE if found.table == "3-1" else TARGETS["3-2"](test) for test in cured)


def test_every_figure_of_the_table_has_its_pictures(found):
    shown = load_shipped_pictures(found.table)
    figures = figures_of(found.table)
    assert figures
    for figure in figures:
        assert len(pictures_of(figure, plan_of(found), shown)) == len(figure.runs), figure.number


def test_its_pictures_are_read_though_they_state_no_version(found):
    for picture in load_shipped_pictures(found.table).values():
        assert picture.frame.meta["version"] == 1
        for matrix in picture.matrices:
            assert matrix.mask.sum() == matrix.layer["kept"]
            assert matrix.array("count").shape == matrix.mask.shape == matrix.shape
