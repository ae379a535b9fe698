"""Results of a sweep: points, means with 95 % intervals over seeds, the Pareto front, and tables."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any, Literal

from sparsecore.engine.cards import reference
from sparsecore.runs.store.run import KeptLayer
from sparsecore.runs.sweeps.spec import FINISHED, Cell

Part = Literal["train", "test"]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Point:
    """One finished run of a sweep, with the values that figures draw.

    `nonzeros` and `weights` count all weight matrices, exempt ones included; `kept` and `budget` only those
    under the constraint. Embeddings are in neither.
    """

    run: str
    method: str
    density: float
    seed: int
    collapsed: bool
    reason: str
    metric: str
    train: float
    test: float
    steps: int
    seconds: float
    kept: int
    budget: int
    nonzeros: int
    weights: int
    layers: tuple[KeptLayer, ...]


@dataclass(frozen=True)
class MeanPoint:
    """The mean of `n` runs at one density with its 95 % interval; none for a single run."""

    density: float
    mean: float
    low: float | None
    high: float | None
    n: int


def points(cells: Iterable[Cell]) -> list[Point]:
    """The finished runs of these cells, collapsed ones included, diverged ones not."""
    found = []
    for cell in cells:
        if cell.status not in FINISHED or cell.metric is None:
            continue
        name, train, test = cell.metric
        if not (isfinite(train) and isfinite(test)):
            continue
        run, result = cell.run, cell.run.result
        layers = run.layers
        found.append(
            Point(
                run=run.id,
                method=cell.config.method,
                density=cell.config.density,
                seed=cell.config.seed,
                collapsed=cell.status == "collapsed",
                reason=run.reason,
                metric=name,
                train=train,
                test=test,
                steps=result["steps"],
                seconds=result["seconds"],
                kept=result["nonzeros"],
                budget=result["budget"],
                nonzeros=run.nonzeros,
                weights=sum(layer.weights for layer in layers),
                layers=layers,
            )
        )
    return found


def interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """The mean of independent values with its 95 % interval by Student's t; none for one value.

    >>> interval([1.0])
    (1.0, None, None)
    >>> [round(number, 4) for number in interval([1.0, 2.0, 3.0])]
    [2.0, -0.4841, 4.4841]
    """
    n = len(values)
    mean = sum(values) / n
    if n == 1:
        return mean, None, None
    from scipy.special import stdtrit  # its import takes a quarter of a second, which most pages do not need

    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * sqrt(variance / n)
    return mean, mean - half, mean + half


def means(found: Iterable[Point], value: Callable[[Point], float]) -> list[MeanPoint]:
    """The mean of a value over the seeds at every density, in ascending order."""
    by_density: dict[float, list[float]] = {}
    for point in found:
        by_density.setdefault(point.density, []).append(value(point))
    return [
        MeanPoint(density, *interval(values), len(values)) for density, values in sorted(by_density.items())
    ]


def by_method(found: Iterable[Point]) -> dict[str, list[Point]]:
    """Group the points by method: the reference first, the others in order of appearance."""
    grouped: dict[str, list[Point]] = {}
    for point in found:
        grouped.setdefault(point.method, []).append(point)
    return dict(sorted(grouped.items(), key=lambda item: item[0] != reference()))


def pareto_front(values: Sequence[tuple[float, float]], *, lower: bool) -> list[int]:
    """The indices of the Pareto front of pairs (kept weights, metric), by weights.

    Of equal pairs only the first counts.

    >>> pareto_front([(10, 0.5), (5, 0.4), (7, 0.4), (2, 0.9)], lower=True)
    [3, 1]
    """
    sign = 1 if lower else -1
    best, found = float("inf"), []
    for place in sorted(range(len(values)), key=lambda i: (values[i][0], sign * values[i][1], i)):
        if sign * values[place][1] < best:
            best = sign * values[place][1]
            found.append(place)
    return found


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
