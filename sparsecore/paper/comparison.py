"""Ours beside theirs: each cell of a table with its interval, difference, verdict and the reasons for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from sparsecore.paper.plan import Column
from sparsecore.paper.record import Reproduction, Trial
from sparsecore.paper.thesis import PARTS, PaperTable, Part, paper_table
from sparsecore.runs.sweeps.curves import interval

Verdict = Literal["better", "worse", "even"]
COLUMNS: tuple[Column, ...] = ("global", "layerwise", "keep_alive")

# A method holds at a ρ while its test metric stays so near that of our own dense runs.
RMSE_HOLDS = 1.25  # times
ACCURACY_HOLDS = 1.0  # percentage points: what one text or point in a hundred makes


@dataclass(frozen=True)
class Mean:
    """The mean of `count` runs; `half` is half the width of its 95 % interval, None for a single run."""

    mean: float
    half: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean | None:
        """Of these values; None without any.

        >>> Mean.of([1.0, 3.0]).mean, Mean.of([1.0]).half, Mean.of([])
        (2.0, None, None)
        """
        if not values:
            return None
        mean, _, high = interval(values)
        return cls(mean, None if high is None else high - mean, len(values))

    def holds(self, value: float) -> bool:
        """Whether the interval holds a value; a single run has no interval."""
        return self.half is not None and abs(value - self.mean) <= self.half


@dataclass(frozen=True)
class Side:
    """One part of a cell, in the table's unit: what is printed, ours, and which is better."""

    paper: float | None
    ours: Mean | None
    difference: float | None
    verdict: Verdict | None


@dataclass(frozen=True)
class Compared:
    """One cell of a table: a column at a density."""

    table: PaperTable
    column: Column
    density: float
    trials: tuple[Trial, ...]

    @cached_property
    def sides(self) -> dict[Part, Side]:
        """Train and test."""
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
        ours = Mean.of([self.table.in_unit(value) for value in values if value is not None])
        if ours is None or theirs is None:
            return Side(theirs, ours, None, None)
        difference = ours.mean - theirs
        even = ours.holds(theirs) or abs(difference) <= self.table.last_digit
        better = "better" if self.table.better(ours.mean, theirs) else "worse"
        return Side(theirs, ours, difference, "even" if even else better)

    @property
    def collapsed(self) -> tuple[Trial, ...]:
        """Runs in which a layer died or the output stopped depending on the input."""
        return tuple(trial for trial in self.trials if trial.status == "collapsed")

    @property
    def failed(self) -> tuple[Trial, ...]:
        """Runs that diverged or could not go on."""
        return tuple(trial for trial in self.trials if trial.status == "failed")

    @property
    def finished(self) -> int:
        """How many runs have ended by themselves."""
        return sum(trial.finished for trial in self.trials)

    @property
    def status(self) -> str:
        """missing, queued, running, stopped, failed, collapsed or done: what most needs saying first."""
        found = {"stopped" if trial.status == "paused" else trial.status for trial in self.trials}
        urgent = ("running", "queued", "failed", "collapsed", "stopped", "missing")
        return next((status for status in urgent if status in found), "done" if found else "missing")


@dataclass(frozen=True)
class Comparison:
    """A whole table."""

    table: PaperTable
    found: Reproduction

    @cached_property
    def rows(self) -> dict[float, dict[Column, Compared]]:
        """Every density, the paper's and ours, from 1 down; of each the columns that have anything."""
        densities = sorted({*self.table.densities, *self.found.densities}, reverse=True)
        rows = {}
        for density in densities:
            cells = {column: self._cell(column, density) for column in COLUMNS}
            rows[density] = {
                column: cell
                for column, cell in cells.items()
                if cell.test.paper is not None or (cell.trials and (column != "keep_alive" or density < 1))
            }
        return rows

    def _cell(self, column: Column, density: float) -> Compared:
        return Compared(self.table, column, density, self.found.of(column, density))

    def column(self, column: Column) -> list[Compared]:
        """A column's cells, from ρ = 1 down."""
        return [cells[column] for cells in self.rows.values() if column in cells]

    @property
    def dense(self) -> Compared:
        """The cell of no constraint."""
        return self._cell("global", 1.0)

    def holds(self, cell: Compared) -> bool | None:
        """Whether no run collapsed and the mean is nearly as good as dense; None before it is known."""
        dense, ours = self.dense.test.ours, cell.test.ours
        if dense is None or ours is None:
            return None
        if cell.collapsed or cell.failed:
            return False
        if self.table.lower_is_better:
            return ours.mean <= RMSE_HOLDS * dense.mean
        return ours.mean >= dense.mean - ACCURACY_HOLDS

    def breaks(self, column: Column) -> tuple[float | None, float | None]:
        """The lowest ρ down to which a column holds without a gap, and the ρ where it first breaks.

        None for either that the runs do not show.
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


def compare(found: Reproduction) -> Comparison:
    """A reproduction beside what the paper prints."""
    return Comparison(paper_table(found.table), found)
