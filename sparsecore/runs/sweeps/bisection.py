"""The smallest ρ that is as good as dense: a bisection in which every density looked at is ordinary runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sparsecore.engine.cards import lower_is_better
from sparsecore.engine.config import PAPER_DENSITIES
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.executors import Executor
from sparsecore.runs.sweeps.spec import Cell, SweepSpec

ORIGIN = "smallest"
CLOSE_ENOUGH = 1.1  # the bisection ends when the bracket's ends are this near to each other
LOWEST = 0.005  # below the thesis's 0.01: where its methods break

Tell = Callable[[float, Sequence[Cell]], None]


@dataclass(frozen=True)
class Evaluated:
    """One density: the test metric averaged over the seeds (None when a run has none), and the verdict."""

    density: float
    test: float | None
    within: bool
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Smallest:
    """The smallest density within the tolerance that was found, and all that was looked at, in order.

    density: 1 when no smaller one was within.
    bound: what the metric may be at worst.
    """

    metric: str
    dense: float
    bound: float
    density: float
    evaluated: tuple[Evaluated, ...]

    def summary(self) -> dict[str, Any]:
        """What the command line prints."""
        return asdict(self)


class NoBaseline(RuntimeError):
    """The dense runs have no result to compare with; the message is one sentence."""


class Bisection:
    """Looks for the smallest ρ whose test metric is worse than dense by a share `tolerance` of it at most.

    It takes the metric for monotone in ρ, as a bisection must: below a density that fails it looks no
    further. Densities of the thesis come first, since runs of them are the most likely to exist.
    """

    def __init__(
        self, store: Store, executor: Executor, spec: SweepSpec, tolerance: float, by: Person = HOST
    ) -> None:
        self.store, self.executor, self.spec, self.tolerance, self.by = store, executor, spec, tolerance, by

    def find(self, lowest: float = LOWEST, tell: Tell = lambda density, cells: None) -> Smallest:
        """Train what the bisection asks for. Raises `NoBaseline`."""
        metric, dense = self._baseline(tell)
        bound = worst(metric, dense, self.tolerance)
        evaluated = [self._evaluate(lowest, metric, bound, tell)]
        low, high = lowest, lowest if evaluated[0].within else 1.0
        while (density := between(low, high)) is not None:
            found = self._evaluate(density, metric, bound, tell)
            evaluated.append(found)
            low, high = (low, density) if found.within else (density, high)
        return Smallest(metric, dense, bound, high, tuple(evaluated))

    def _baseline(self, tell: Tell) -> tuple[str, float]:
        cells = self._trained(1.0, tell)
        metrics = [cell.metric for cell in cells]
        if None in metrics:
            why = next(cell for cell in cells if cell.metric is None)
            raise NoBaseline(f"the dense run of seed {why.config.seed} has no result: {why.status}.")
        return metrics[0][0], math.fsum(metric[2] for metric in metrics) / len(metrics)

    def _evaluate(self, density: float, metric: str, bound: float, tell: Tell) -> Evaluated:
        cells = self._trained(density, tell)
        values = [cell.metric[2] for cell in cells if cell.metric is not None]
        mean = math.fsum(values) / len(values) if len(values) == len(cells) else None
        within = mean is not None and not is_worse(metric, mean, bound)
        return Evaluated(density, mean, within, tuple(cell.run.id for cell in cells if cell.run))

    def _trained(self, density: float, tell: Tell) -> list[Cell]:
        spec = self.spec.model_copy(update={"densities": (density,)})
        sweep_id = stored.begin(self.store, spec, ORIGIN, self.by)
        self.executor.run(sweep_id, lambda cells: tell(density, cells))
        return stored.cells_of(self.store, spec)


def worst(metric: str, dense: float, tolerance: float) -> float:
    """The worst value of the metric that is within the tolerance, a share of the dense one.

    >>> worst("rmse", 0.08, 0.25), worst("accuracy", 0.96, 0.25)
    (0.1, 0.72)
    """
    return dense * (1 + tolerance if lower_is_better(metric) else 1 - tolerance)


def is_worse(metric: str, value: float, bound: float) -> bool:
    """Whether a value of the metric is worse than another."""
    return value > bound if lower_is_better(metric) else value < bound


def between(low: float, high: float) -> float | None:
    """The next density to look at between two; None when they are close enough.

    The density of the thesis nearest to their geometric mean, or where none lies between, that mean.

    >>> between(0.05, 1.0), between(0.4, 0.5), between(0.05, 0.055)
    (0.2, 0.45, None)
    """
    if high <= low * CLOSE_ENOUGH:
        return None
    middle = math.sqrt(low * high)
    inside = [density for density in PAPER_DENSITIES if low < density < high]
    if inside:
        return min(inside, key=lambda density: abs(math.log(density / middle)))
    return float(f"{middle:.2g}")
