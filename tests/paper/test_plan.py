"""The printed tables and the sweeps that reproduce them."""

import pytest

from sparsecore.engine.config import ConfigError
from sparsecore.engine.tasks.points import SINC_REACH, constant_rmse
from sparsecore.paper.pictures import FIGURES, figures_of
from sparsecore.paper.plan import FLOORS, KEPT_ALIVE_AT, TablePlan, column_of
from sparsecore.paper.thesis import TABLES, paper_table


def test_a_table_has_the_printed_values():
    table = paper_table("3-2")
    assert (table.task, table.percent, table.lower_is_better) == ("spirals", True, False)
    assert table.value(0.1, "layerwise", "test") == 60.04
    assert table.value(0.02, "layerwise", "test") is None
    assert table.value(0.05, "keep_alive", "test") is None
    assert table.in_unit(0.995) == 99.5


def test_values_are_formatted_as_printed():
    assert paper_table("3-1").format_value(0.07012) == "0.0701"
    assert paper_table("3-1").format_value(-0.0248, signed=True) == "−0.0248"
    assert paper_table("3-2").format_value(0.25, signed=True) == "+0.25"


@pytest.mark.parametrize(("table", "runs"), [("3-1", 21), ("3-2", 21), ("3-4", 29)])
def test_the_grid_matches_the_table_with_one_dense_run(table: str, runs: int):
    grid = TablePlan(table, seeds=(0,)).specs()["grid"]
    assert len(grid.configs()) == runs
    assert {config.size for config in grid.configs()} == {"paper"}


def test_further_densities_lie_below_the_printed_ones():
    assert {c.density for c in TablePlan("3-1", (0,), further=True).configs()} >= {0.02, 0.01, 0.005}
    assert len(TablePlan("3-4", (0,), further=True).specs()["grid"].configs()) == 29 + 2  # only 0.005 is new


def test_keep_alive_rows_set_minimum_counts_in_their_own_column():
    (config,) = TablePlan("3-1", (0,)).specs()["kept_alive"].configs()
    assert (config.method, config.density) == ("global", KEPT_ALIVE_AT)
    assert {name: getattr(config, name) for name in FLOORS} == FLOORS
    assert column_of(config) == "keep_alive"


def test_every_figure_shows_runs_that_the_plan_trains():
    for table in TABLES:
        plan = TablePlan(table, seeds=(4, 5))
        trained = {config.digest() for config in plan.configs()}
        for figure in figures_of(table):
            shown = {plan.config_of(run).digest() for run in figure.runs}
            assert shown <= trained, figure.number


def test_all_figures_of_the_paper_are_listed():
    assert list(FIGURES) == ["3-2", "3-3", "3-4", "3-5", "3-7", "3-8", "3-9", "3-10", "3-11", "3-14"]


def test_an_unknown_size_is_refused():
    with pytest.raises(ConfigError, match=r"size must be one of demo, paper for sinc"):
        TablePlan("3-1", size="laptop").specs()


def test_text_runs_stop_early_on_the_test_texts_like_the_thesis():
    assert {config.watch for config in TablePlan("3-4", (0,)).configs()} == {"test"}


def test_the_rmse_of_a_constant_matches_the_spread_of_the_targets():
    from sparsecore.engine.config import RunConfig
    from sparsecore.engine.tasks.sinc import Sinc

    points = [Sinc(RunConfig(task="sinc", seed=seed), "cpu").test[1] for seed in range(8)]
    measured = sum(y.std() for y in points) / len(points)
    assert constant_rmse(0.005) == pytest.approx(measured, rel=0.05)
    assert constant_rmse(1.0) > 1.0
    assert SINC_REACH == 10.0
