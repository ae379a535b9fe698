"""A sweep in figures: each cell as a row, and over the seeds of a method and density mean and interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sparsecore.runs.sweep import Cell

CONFIDENCE = 0.95


def described(cell: Cell) -> dict[str, Any]:
    """A cell as the command line prints it; what is not known yet is None."""
    config, run = cell.config, cell.run
    name, train, test = cell.metric or (None, None, None)
    result = (run and run.result) or {}
    return {
        "method": config.method,
        "density": config.density,
        "seed": config.seed,
        "run": run and run.id,
        "status": cell.status,
        "reason": run and (run.error or run.reason),
        "train": train,
        "test": test,
        "metric": name,
        "nonzeros": result.get("nonzeros"),
        "seconds": result.get("seconds"),
        "steps": run and run.step,
    }


def summary(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """A row for each method and density: the means of its `n` runs with a result, an interval of `test`."""
    grid: dict[tuple[str, float], list[Cell]] = {}
    for cell in cells:
        grid.setdefault((cell.config.method, cell.config.density), []).append(cell)
    return [_row(method, density, found) for (method, density), found in grid.items()]


def _row(method: str, density: float, cells: Sequence[Cell]) -> dict[str, Any]:
    metrics = [cell.metric for cell in cells if cell.status in ("done", "collapsed") and cell.metric]
    train, test = ([metric[part] for metric in metrics] for part in (1, 2))
    mean, low, high = interval(test)
    return {
        "method": method,
        "density": density,
        "n": len(test),
        "metric": metrics[0][0] if metrics else None,
        "train": interval(train)[0],
        "test": mean,
        "low": low,
        "high": high,
        "collapsed": sum(cell.status == "collapsed" for cell in cells),
        "failed": sum(cell.status == "failed" for cell in cells),
    }


def interval(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """The mean and its 95 % interval by Student's t, which needs two values; None for what there is not.

    >>> [round(bound, 3) for bound in interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    >>> interval([1.0])
    (1.0, None, None)
    """
    from scipy.stats import t  # takes a second: not for commands that need no interval

    n = len(values)
    if n == 0:
        return None, None, None
    mean = math.fsum(values) / n
    if n == 1:
        return mean, None, None
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation / math.sqrt(n)
    return mean, mean - half, mean + half
