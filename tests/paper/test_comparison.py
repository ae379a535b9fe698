"""Intervals, differences, verdicts, and the lowest ρ at which a method holds."""

import pytest

from sparsecore.paper.comparison import MeanInterval, compare


def cell_of(found, column: str, density: float):
    return compare(found).rows[density][column]


def test_the_interval_uses_students_t():
    mean = MeanInterval.of([0.9, 1.0, 1.1])
    assert mean.mean == pytest.approx(1.0)
    assert mean.half == pytest.approx(4.302653 * 0.1 / 3**0.5)  # t of 2 degrees of freedom at 97.5 %
    assert mean.holds(1.2)
    assert not mean.holds(1.3)


def test_a_single_run_has_no_interval():
    assert MeanInterval.of([1.0]) == MeanInterval(1.0, None, 1)
    assert not MeanInterval.of([1.0]).holds(1.0)
    assert MeanInterval.of([]) is None


def test_lower_is_better_for_errors(reproduction, trials_of):
    cell = cell_of(reproduction(*trials_of("layerwise", 0.1, 0.071, 0.072, 0.073)), "layerwise", 0.1)
    assert cell.test.paper == 0.6664
    assert cell.test.difference == pytest.approx(0.072 - 0.6664)
    assert cell.test.verdict == "better"
    assert cell.status == "done"


def test_higher_is_better_for_accuracies_which_are_percentages(reproduction, trials_of):
    worse = reproduction(*trials_of("global", 0.6, 0.95, 0.951, 0.952), table="3-2")
    cell = cell_of(worse, "global", 0.6)
    assert cell.test.ours.mean == pytest.approx(95.1)
    assert cell.test.verdict == "worse"


def test_a_value_within_the_interval_or_the_last_digit_is_no_difference(reproduction, trial, trials_of):
    assert cell_of(reproduction(*trials_of("global", 1.0, 0.08, 0.1)), "global", 0.9).test.verdict is None
    wide = reproduction(*trials_of("global", 0.9, 0.11, 0.13, 0.16))
    assert cell_of(wide, "global", 0.9).test.verdict == "even"
    same = reproduction(trial("global", 0.9, 0, 0.07, 0.13294))
    assert cell_of(same, "global", 0.9).test.verdict == "even"


def test_dense_runs_appear_in_both_method_columns_only(reproduction, trials_of):
    row = compare(reproduction(*trials_of("dense", 1.0, 0.07, 0.08))).rows[1.0]
    assert row.keys() == {"global", "layerwise"}
    assert row["global"].trials == row["layerwise"].trials


def test_every_printed_row_appears_without_runs(reproduction):
    whole = compare(reproduction())
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
def test_a_cell_shows_the_most_urgent_status(reproduction, statuses, shown, trial):
    trials = [trial("global", 0.4, seed, None, None, status=status) for seed, status in enumerate(statuses)]
    assert cell_of(reproduction(*trials), "global", 0.4).status == shown


def test_the_mean_includes_collapsed_and_excludes_failed_runs(reproduction, trial):
    found = reproduction(
        trial("global", 0.1, 0, 0.07, 0.08),
        trial("global", 0.1, 1, 0.36, 0.36, status="collapsed"),
        trial("global", 0.1, 2, None, None, status="failed", reason="diverged"),
    )
    cell = cell_of(found, "global", 0.1)
    assert cell.test.ours.mean == pytest.approx(0.22)
    assert (len(cell.collapsed), len(cell.failed), cell.finished) == (1, 1, 3)


def test_a_method_breaks_where_it_is_clearly_worse_than_dense_or_collapses(reproduction, trials_of):
    dense = trials_of("dense", 1.0, 0.07, 0.071)
    fine, worse = trials_of("layerwise", 0.4, 0.08, 0.081), trials_of("layerwise", 0.1, 0.12, 0.121)
    whole = compare(reproduction(*dense, *fine, *worse))
    assert whole.breaks("global") == (1.0, None)
    assert whole.breaks("layerwise") == (1.0, None)  # the densities in between have no runs
    gapless = [trials_of("layerwise", rho, 0.08, 0.081) for rho in (0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.2)]
    whole = compare(reproduction(*dense, *fine, *worse, *(each for group in gapless for each in group)))
    assert whole.breaks("layerwise") == (0.2, 0.1)
    collapsed = trials_of("global", 0.9, 0.07, 0.071, status="collapsed", detail={"step": 1, "layer": "fc3"})
    assert compare(reproduction(*dense, *collapsed)).breaks("global") == (1.0, 0.9)
