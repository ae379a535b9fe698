"""The printed tables, and the grids that reproduce them."""

import pytest

from sparsecore.engine.config import ConfigError
from sparsecore.engine.tasks.points import SINC_REACH, constant_rmse
from sparsecore.paper.pictures import FIGURES
from sparsecore.paper.plan import FLOORS, KEPT_ALIVE_AT, Plan, column_of
from sparsecore.paper.thesis import TABLES, paper_table


def test_a_table_has_what_is_printed():
    table = paper_table("3-2")
    assert (table.task, table.percent, table.lower_is_better) == ("spirals", True, False)
    assert table.value(0.1, "layerwise", "test") == 60.04
    assert table.value(0.02, "layerwise", "test") is None
    assert table.value(0.05, "keep_alive", "test") is None
    assert table.in_unit(0.995) == 99.5


def test_values_are_written_as_printed():
    assert paper_table("3-1").written(0.07012) == "0.0701"
    assert paper_table("3-1").written(-0.0248, signed=True) == "−0.0248"
    assert paper_table("3-2").written(0.25, signed=True) == "+0.25"


@pytest.mark.parametrize(("table", "runs"), [("3-1", 21), ("3-2", 21), ("3-4", 29)])
def test_the_grid_is_the_printed_one_with_dense_trained_once(table: str, runs: int):
    grid = Plan(table, seeds=(0,)).specs()["grid"]
    assert len(grid.configs()) == runs
    assert {config.size for config in grid.configs()} == {"paper"}


def test_further_densities_go_where_the_paper_has_none():
    assert {c.density for c in Plan("3-1", (0,), further=True).table_configs()} >= {0.02, 0.01, 0.005}
    assert len(Plan("3-4", (0,), further=True).specs()["grid"].configs()) == 29 + 2  # only 0.005 is new


def test_the_rows_with_keep_alive_have_the_floors_and_a_column_of_their_own():
    (config,) = Plan("3-1", (0,)).specs()["kept_alive"].configs()
    assert (config.method, config.density) == ("global", KEPT_ALIVE_AT)
    assert {name: getattr(config, name) for name in FLOORS} == FLOORS
    assert column_of(config) == "keep_alive"


def test_every_figure_shows_runs_that_the_plan_trains():
    for table in TABLES:
        plan = Plan(table, seeds=(4, 5))
        trained = {config.digest() for config in plan.configs()}
        for figure in (figure for figure in FIGURES.values() if figure.table == table):
            shown = {plan.pictured(shot.method, shot.density, shot.size).digest() for shot in figure.shots}
            assert shown <= trained, figure.number


def test_every_figure_that_the_issue_names_is_there():
    assert list(FIGURES) == ["3-2", "3-3", "3-4", "3-5", "3-7", "3-8", "3-9", "3-10", "3-11", "3-14"]


def test_a_size_that_the_task_lacks_is_refused():
    with pytest.raises(ConfigError, match=r"size must be one of demo, paper for sinc"):
        Plan("3-1", size="laptop").specs()


def test_the_text_runs_stop_by_the_test_texts_as_the_thesis_says():
    assert {config.watch for config in Plan("3-4", (0,)).table_configs()} == {"test"}


def test_a_constant_scores_what_the_spread_of_sinc_and_the_noise_make():
    from sparsecore.engine.config import RunConfig
    from sparsecore.engine.tasks.sinc import Sinc

    points = [Sinc(RunConfig(task="sinc", seed=seed), "cpu").test[1] for seed in range(8)]
    measured = sum(y.std() for y in points) / len(points)
    assert constant_rmse(0.005) == pytest.approx(measured, rel=0.05)
    assert constant_rmse(1.0) > 1.0
    assert SINC_REACH == 10.0
