"""Tables of a sweep: a row per cell, and a row per method and density with mean and interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparsecore.runs.store.run import EMBEDDING
from sparsecore.runs.sweeps.curves import interval
from sparsecore.runs.sweeps.spec import FINISHED, Cell


def cell_row(cell: Cell) -> dict[str, Any]:
    """A cell as the command line prints it; None for values not known yet."""
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


def count_nonzeros(cell: Cell) -> int | None:
    """The non-zeros of all weight matrices, exempt ones included; embeddings are not counted."""
    layers = ((cell.run and cell.run.result) or {}).get("layers")
    if layers is None:
        return None
    return sum(layer["nonzeros"] for layer in layers if layer["name"] != EMBEDDING)


def method_rows(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """A row per method and density: the means over its `n` finished runs, with the interval of `test`."""
    grid: dict[tuple[str, float], list[Cell]] = {}
    for cell in cells:
        grid.setdefault((cell.config.method, cell.config.density), []).append(cell)
    return [_row(method, density, found) for (method, density), found in grid.items()]


def _row(method: str, density: float, cells: Sequence[Cell]) -> dict[str, Any]:
    metrics = [cell.metric for cell in cells if cell.status in FINISHED and cell.metric]
    train, test = ([metric[part] for metric in metrics] for part in (1, 2))
    mean, low, high = interval(test) if test else (None, None, None)
    return {
        "method": method,
        "density": density,
        "n": len(test),
        "metric": metrics[0][0] if metrics else None,
        "train": interval(train)[0] if train else None,
        "test": mean,
        "low": low,
        "high": high,
        "collapsed": sum(cell.status == "collapsed" for cell in cells),
        "failed": sum(cell.status == "failed" for cell in cells),
    }
