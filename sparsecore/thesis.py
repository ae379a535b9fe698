"""What the thesis prints: its tables of results, from `assets/paper/tables.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TABLES = Path(__file__).parents[1] / "assets" / "paper" / "tables.json"
PERCENT = 100.0


@dataclass(frozen=True)
class Printed:
    """One printed result: a method at a density. A density of 1 is the dense network."""

    table: str
    method: str
    density: float
    train: float
    test: float


@cache
def tables() -> dict[str, dict[str, Any]]:
    """Every table by its number, as the file has it."""
    return json.loads(TABLES.read_text(encoding="utf-8"))


@cache
def printed(task: str) -> tuple[Printed, ...]:
    """The printed results of a task; accuracies as shares of 1, like ours. Empty for a task without a table.

    >>> printed("spirals")[1]
    Printed(table='3-2', method='global', density=0.9, train=0.9966, test=0.995)
    """
    found = []
    for number, table in tables().items():
        if table.get("task") != task:
            continue
        unit = PERCENT if table["metric"].endswith("%") else 1.0
        for row in table["rows"]:
            methods = ("global", "layerwise") if row["density"] < 1 else ("global",)
            for method in methods:
                values = row.get(method)
                if values is None:
                    continue
                name = "dense" if row["density"] == 1 else method
                train, test = (round(values[part] / unit, 6) for part in ("train", "test"))
                found.append(Printed(number, name, float(row["density"]), train, test))
    return tuple(found)
