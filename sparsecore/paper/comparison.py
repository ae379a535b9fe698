"""Compare a reproduction with the printed table: intervals, differences, verdicts and breaking points."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from sparsecore.paper.plan import Column
from sparsecore.paper.reproduction import ReproducedRun, Reproduction
from sparsecore.paper.thesis import PARTS, PaperTable, Part, paper_table
from sparsecore.runs.sweeps.results import interval

Verdict = Literal["better", "worse", "even"]
COLUMNS: tuple[Column, ...] = ("global", "layerwise", "keep_alive")

# A method holds at a ρ if its test metric is within this margin of our own dense runs.
RMSE_HOLDS = 1.25  # factor
ACCURACY_HOLDS = 1.0  # percentage points; one text or point in a hundred


@dataclass(frozen=True)
class MeanInterval:
    """The mean of `count` runs; `half` is half the width of its 95 % interval, None for a single run."""

    mean: float
    half: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "MeanInterval | None":
        """Return the mean and interval of the values; None for no values.

        >>> MeanInterval.of([1.0, 3.0]).mean, MeanInterval.of([1.0]).half, MeanInterval.of([])
        (2.0, None, None)
        """
        if not values:
            return None
        mean, _, high = interval(values)
        return cls(mean, None if high is None else high - mean, len(values))

    def holds(self, value: float) -> bool:
        """Return whether the interval contains a value; a single run has no interval."""
        return self.half is not None and abs(value - self.mean) <= self.half


@dataclass(frozen=True)
class Side:
    """The training or test part of a cell, in the table's unit: printed value, ours, and which is better."""

    paper: float | None
    ours: MeanInterval | None
    difference: float | None
    verdict: Verdict | None


@dataclass(frozen=True)
class ComparedCell:
    """One cell of a table: a column at a density."""

    table: PaperTable
    column: Column
    density: float
    trials: tuple[ReproducedRun, ...]

    @cached_property
    def sides(self) -> dict[Part, Side]:
        """The training and the test side."""
        return {part: self._side(part) for part in PARTS}

    @property
    def test(self) -> Side:
        return self.sides["test"]

    @property
    def train(self) -> Side:
        return self.sides["train"]

    def _side(self, part: Part) -> Side:
        theirs = self.table.value(self.density, self.column, part)
        values = [getattr(trial, part) for trial in self.trials]
        ours = MeanInterval.of([self.table.in_unit(value) for value in values if value is not None])
        if ours is None or theirs is None:
            return Side(theirs, ours, None, None)
        difference = ours.mean - theirs
        even = ours.holds(theirs) or abs(difference) <= self.table.last_digit
        better = "better" if self.table.better(ours.mean, theirs) else "worse"
        return Side(theirs, ours, difference, "even" if even else better)

    @property
    def collapsed(self) -> tuple[ReproducedRun, ...]:
        """Runs with an emptied layer or an output that ignores the input."""
        return tuple(trial for trial in self.trials if trial.status == "collapsed")

    @property
    def failed(self) -> tuple[ReproducedRun, ...]:
        """Runs that diverged or crashed."""
        return tuple(trial for trial in self.trials if trial.status == "failed")

    @property
    def finished(self) -> int:
        """Number of runs with a final status."""
        return sum(trial.finished for trial in self.trials)

    @property
    def status(self) -> str:
        """The most urgent status: missing, queued, running, stopped, failed, collapsed or done."""
        found = {"stopped" if trial.status == "paused" else trial.status for trial in self.trials}
        urgent = ("running", "queued", "failed", "collapsed", "stopped", "missing")
        return next((status for status in urgent if status in found), "done" if found else "missing")


@dataclass(frozen=True)
class Comparison:
    """A printed table and its reproduction."""

    table: PaperTable
    reproduction: Reproduction

    @cached_property
    def rows(self) -> dict[float, dict[Column, ComparedCell]]:
        """All densities, printed and ours, from 1 down, with the cells of each column that has data."""
        densities = sorted({*self.table.densities, *self.reproduction.densities}, reverse=True)
        rows = {}
        for density in densities:
            cells = {column: self._cell(column, density) for column in COLUMNS}
            rows[density] = {
                column: cell
                for column, cell in cells.items()
                if cell.test.paper is not None or (cell.trials and (column != "keep_alive" or density < 1))
            }
        return rows

    def _cell(self, column: Column, density: float) -> ComparedCell:
        return ComparedCell(self.table, column, density, self.reproduction.of(column, density))

    def column(self, column: Column) -> list[ComparedCell]:
        """Return a column's cells from ρ = 1 down."""
        return [cells[column] for cells in self.rows.values() if column in cells]

    @property
    def dense(self) -> ComparedCell:
        """The cell without a sparsity constraint."""
        return self._cell("global", 1.0)

    def holds(self, cell: ComparedCell) -> bool | None:
        """Return whether no run failed and the mean is close to dense; None if there are too few runs."""
        dense, ours = self.dense.test.ours, cell.test.ours
        if dense is None or ours is None:
            return None
        if cell.collapsed or cell.failed:
            return False
        if self.table.lower_is_better:
            return ours.mean <= RMSE_HOLDS * dense.mean
        return ours.mean >= dense.mean - ACCURACY_HOLDS

    def breaks(self, column: Column) -> tuple[float | None, float | None]:
        """Return the lowest ρ down to which a column holds without a gap, and the ρ where it first breaks.

        Either is None if the runs do not show it.
        """
        lowest = None
        for cell in self.column(column):
            holds = self.holds(cell)
            if holds is False:
                return lowest, cell.density
            if holds is None:
                return lowest, None
            lowest = cell.density
        return lowest, None


def compare(reproduction: Reproduction) -> Comparison:
    """Compare a reproduction with the printed table."""
    return Comparison(paper_table(reproduction.table), reproduction)
