"""The printed tables of the thesis, from `assets/paper/tables.json`."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from sparsecore.engine.config import PAPER_METHODS
from sparsecore.settings import ASSETS

FOLDER = ASSETS / "paper"
TABLES = ("3-1", "3-2", "3-4")  # tables of trained networks
SORTING = "3-5"  # the table of times
PAPER_WEIGHTS = 1_835_008  # "about 1.8 M": the number of weights sorted in Table 3-5 (DESIGN)
PAPER_BLOCKS = 4  # number of layers of the layerwise method in Table 3-5
PERCENT = 100.0

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("train", "test")


@dataclass(frozen=True)
class PaperTable:
    """One printed table: for each ρ and method the training and the test metric.

    percent: whether values are percentages; decimals: number of printed decimals.
    """

    name: str
    task: str
    metric: str
    lower_is_better: bool
    percent: bool
    decimals: int
    rows: dict[float, dict[str, dict[Part, float]]]

    @property
    def densities(self) -> tuple[float, ...]:
        """The printed densities, from 1 down."""
        return tuple(self.rows)

    def value(self, density: float, method: str, part: Part) -> float | None:
        """Return the printed value in the table's unit; None if there is none."""
        return self.rows.get(density, {}).get(method, {}).get(part)

    def in_unit(self, value: float) -> float:
        """Convert a metric of our runs to the table's unit."""
        return PERCENT * value if self.percent else value

    def format_value(self, value: float, *, signed: bool = False) -> str:
        """Format a value with the number of decimals of the table.

        >>> paper_table("3-1").format_value(0.0701), paper_table("3-2").format_value(-0.25, signed=True)
        ('0.0701', '−0.25')
        """
        text = f"{value:+.{self.decimals}f}" if signed else f"{value:.{self.decimals}f}"
        return text.replace("-", "−")

    def better(self, ours: float, theirs: float) -> bool:
        """Return whether `ours` is better than `theirs`."""
        return ours < theirs if self.lower_is_better else ours > theirs

    def in_shares(self, value: float) -> float:
        """Convert a printed value to the unit of our runs."""
        return round(value / (PERCENT if self.percent else 1.0), 6)

    @property
    def last_digit(self) -> float:
        """Half a unit of the last printed digit: the rounding error."""
        return 0.5 * 10**-self.decimals


@cache
def paper_table(name: str) -> PaperTable:
    """Return a table of trained networks by its number; raise `KeyError` for any other."""
    if name not in TABLES:
        raise KeyError(f"{name!r} is not one of {', '.join(TABLES)}.")
    table = tables()[name]
    percent = table["metric"].endswith("%")
    rows = {row["density"]: {method: row[method] for method in PAPER_METHODS} for row in table["rows"]}
    return PaperTable(
        name,
        table["task"],
        table["metric"],
        table["better"] == "lower",
        percent,
        2 if percent else 4,
        rows,
    )


@dataclass(frozen=True)
class Printed:
    """One printed result of a method at a density. Density 1 is the dense network."""

    table: str
    method: str
    density: float
    train: float
    test: float


@cache
def tables() -> dict[str, dict[str, Any]]:
    """Return all tables by number, as stored in the file."""
    return json.loads((FOLDER / "tables.json").read_text(encoding="utf-8"))


@cache
def printed(task: str) -> tuple[Printed, ...]:
    """Return the printed results of a task, accuracies as shares of 1; empty for a task without a table.

    >>> printed("spirals")[1]
    Printed(table='3-2', method='global', density=0.9, train=0.9966, test=0.995)
    """
    results = []
    for table in map(paper_table, TABLES):
        for density, row in table.rows.items() if table.task == task else ():
            for method in PAPER_METHODS if density < 1 else PAPER_METHODS[:1]:
                name = "dense" if density == 1 else method
                train, test = (table.in_shares(row[method][part]) for part in PARTS)
                results.append(Printed(table.name, name, float(density), train, test))
    return tuple(results)
