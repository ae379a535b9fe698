"""Ours beside theirs: intervals, differences, verdicts, and down to which ρ a method holds."""

import pytest

from sparsecore.paper.comparison import Mean, compare


def cell_of(found, column: str, density: float):
    return compare(found).rows[density][column]


def test_the_interval_is_students():
    mean = Mean.of([0.9, 1.0, 1.1])
    assert mean.mean == pytest.approx(1.0)
    assert mean.half == pytest.approx(4.302653 * 0.1 / 3**0.5)  # t of 2 degrees of freedom at 97.5 %
    assert mean.holds(1.2)
    assert not mean.holds(1.3)


def test_a_single_run_has_no_interval():
    assert Mean.of([1.0]) == Mean(1.0, None, 1)
    assert not Mean.of([1.0]).holds(1.0)
    assert Mean.of([]) is None


def test_lower_is_better_for_errors(made, three):
    cell = cell_of(made(*three("layerwise", 0.1, 0.071, 0.072, 0.073)), "layerwise", 0.1)
    assert cell.test.paper == 0.6664
    assert cell.test.difference == pytest.approx(0.072 - 0.6664)
    assert cell.test.verdict == "better"
    assert cell.status == "done"


def test_higher_is_better_for_accuracies_which_are_percentages(made, three):
    worse = made(*three("global", 0.6, 0.95, 0.951, 0.952), table="3-2")
    cell = cell_of(worse, "global", 0.6)
    assert cell.test.ours.mean == pytest.approx(95.1)
    assert cell.test.verdict == "worse"


def test_a_value_within_the_interval_or_the_last_digit_is_no_difference(made, trial, three):
    assert cell_of(made(*three("global", 1.0, 0.08, 0.1)), "global", 0.9).test.verdict is None
    wide = made(*three("global", 0.9, 0.11, 0.13, 0.16))
    assert cell_of(wide, "global", 0.9).test.verdict == "even"
    same = made(trial("global", 0.9, 0, 0.07, 0.13294))
    assert cell_of(same, "global", 0.9).test.verdict == "even"


def test_dense_runs_stand_in_both_columns_and_not_in_the_third(made, three):
    row = compare(made(*three("dense", 1.0, 0.07, 0.08))).rows[1.0]
    assert row.keys() == {"global", "layerwise"}
    assert row["global"].trials == row["layerwise"].trials


def test_every_printed_row_is_there_without_any_run(made):
    whole = compare(made())
    assert len(whole.rows) == 11
    cell = whole.rows[0.05]["global"]
    assert (cell.test.paper, cell.test.ours, cell.test.verdict, cell.status) == (
        0.8886,
        None,
        None,
        "missing",
    )


@pytest.mark.parametrize(
    ("statuses", "shown"),
    [
        (("done", "running", "collapsed"), "running"),
        (("done", "queued"), "queued"),
        (("done", "failed", "collapsed"), "failed"),
        (("done", "collapsed"), "collapsed"),
        (("done", "paused"), "stopped"),
        (("done", "missing"), "missing"),
        (("done", "done"), "done"),
    ],
)
def test_a_cell_says_first_what_most_needs_saying(made, statuses, shown, trial):
    trials = [trial("global", 0.4, seed, None, None, status=status) for seed, status in enumerate(statuses)]
    assert cell_of(made(*trials), "global", 0.4).status == shown


def test_collapsed_runs_are_in_the_mean_and_failed_ones_are_not(made, trial):
    found = made(
        trial("global", 0.1, 0, 0.07, 0.08),
        trial("global", 0.1, 1, 0.36, 0.36, status="collapsed"),
        trial("global", 0.1, 2, None, None, status="failed", reason="diverged"),
    )
    cell = cell_of(found, "global", 0.1)
    assert cell.test.ours.mean == pytest.approx(0.22)
    assert (len(cell.collapsed), len(cell.failed), cell.finished) == (1, 1, 3)


def test_a_method_breaks_where_it_is_clearly_worse_than_dense_or_collapses(made, three):
    dense = three("dense", 1.0, 0.07, 0.071)
    fine, worse = three("layerwise", 0.4, 0.08, 0.081), three("layerwise", 0.1, 0.12, 0.121)
    whole = compare(made(*dense, *fine, *worse))
    assert whole.breaks("global") == (1.0, None)
    assert whole.breaks("layerwise") == (1.0, None)  # what lies between has not been run
    gapless = [three("layerwise", rho, 0.08, 0.081) for rho in (0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.2)]
    whole = compare(made(*dense, *fine, *worse, *(each for group in gapless for each in group)))
    assert whole.breaks("layerwise") == (0.2, 0.1)
    collapsed = three("global", 0.9, 0.07, 0.071, status="collapsed", detail={"step": 1, "layer": "fc3"})
    assert compare(made(*dense, *collapsed)).breaks("global") == (1.0, 0.9)
