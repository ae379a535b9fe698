"""Find the smallest ρ that is as good as dense, by a bisection over ordinary runs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparsecore.engine.cards import lower_is_better
from sparsecore.engine.config import PAPER_DENSITIES
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.executors import Executor
from sparsecore.runs.sweeps.spec import Cell, SweepSpec

ORIGIN = "smallest"
CLOSE_ENOUGH = 1.1  # the ratio of the bracket's ends at which the bisection stops
LOWEST = 0.005  # below the thesis's 0.01: where its methods break

OnProgress = Callable[[float, Sequence[Cell]], None]


@dataclass(frozen=True)
class EvaluatedDensity:
    """One density with its mean test metric (None if a run has none) and the verdict."""

    density: float
    test: float | None
    within: bool
    runs: tuple[str, ...]


@dataclass(frozen=True)
class SmallestDensity:
    """The smallest density found within the tolerance, and all evaluated densities in order.

    density: 1 if no smaller one was within the tolerance. bound: the worst accepted metric.
    """

    metric: str
    dense: float
    bound: float
    density: float
    evaluated: tuple[EvaluatedDensity, ...]


class NoBaseline(RuntimeError):
    """A dense run has no result to compare with; the message is one sentence."""


class Bisection:
    """Searches for the smallest ρ with a test metric at most the share `tolerance` worse than dense.

    Like every bisection it assumes that the metric is monotone in ρ: below a density that fails it looks no
    further. Densities of the thesis come first, since their runs are the most likely to exist.
    """

    def __init__(
        self, store: Store, executor: Executor, spec: SweepSpec, tolerance: float, by: Person = HOST
    ) -> None:
        self.store, self.executor, self.spec, self.tolerance, self.by = store, executor, spec, tolerance, by

    def find(
        self, lowest: float = LOWEST, on_progress: OnProgress = lambda density, cells: None
    ) -> SmallestDensity:
        """Train until the bracket is narrow enough. Raises `NoBaseline`."""
        metric, dense = self._baseline(on_progress)
        bound = worst_accepted(metric, dense, self.tolerance)
        evaluated = [self._evaluate(lowest, metric, bound, on_progress)]
        low, high = lowest, lowest if evaluated[0].within else 1.0
        while (density := next_density(low, high)) is not None:
            found = self._evaluate(density, metric, bound, on_progress)
            evaluated.append(found)
            low, high = (low, density) if found.within else (density, high)
        return SmallestDensity(metric, dense, bound, high, tuple(evaluated))

    def _baseline(self, on_progress: OnProgress) -> tuple[str, float]:
        cells = self._trained(1.0, on_progress)
        metrics = [cell.metric for cell in cells]
        if None in metrics:
            why = next(cell for cell in cells if cell.metric is None)
            raise NoBaseline(f"the dense run of seed {why.config.seed} has no result: {why.status}.")
        return metrics[0][0], math.fsum(metric[2] for metric in metrics) / len(metrics)

    def _evaluate(
        self, density: float, metric: str, bound: float, on_progress: OnProgress
    ) -> EvaluatedDensity:
        cells = self._trained(density, on_progress)
        values = [cell.metric[2] for cell in cells if cell.metric is not None]
        mean = math.fsum(values) / len(values) if len(values) == len(cells) else None
        within = mean is not None and not is_worse(metric, mean, bound)
        return EvaluatedDensity(density, mean, within, tuple(cell.run.id for cell in cells if cell.run))

    def _trained(self, density: float, on_progress: OnProgress) -> list[Cell]:
        spec = self.spec.model_copy(update={"densities": (density,)})
        sweep_id = stored.begin(self.store, spec, ORIGIN, self.by)
        self.executor.run(sweep_id, lambda cells: on_progress(density, cells))
        return stored.cells_of(self.store, spec)


def worst_accepted(metric: str, dense: float, tolerance: float) -> float:
    """The worst metric within the tolerance, a share of the dense metric.

    >>> worst_accepted("rmse", 0.08, 0.25), worst_accepted("accuracy", 0.96, 0.25)
    (0.1, 0.72)
    """
    return dense * (1 + tolerance if lower_is_better(metric) else 1 - tolerance)


def is_worse(metric: str, value: float, bound: float) -> bool:
    """Whether a value of the metric is worse than the bound."""
    return value > bound if lower_is_better(metric) else value < bound


def next_density(low: float, high: float) -> float | None:
    """The next density to evaluate between two; None if they are close enough.

    The density of the thesis nearest to their geometric mean, or that mean if none lies between them.

    >>> next_density(0.05, 1.0), next_density(0.4, 0.5), next_density(0.05, 0.055)
    (0.2, 0.45, None)
    """
    if high <= low * CLOSE_ENOUGH:
        return None
    middle = math.sqrt(low * high)
    inside = [density for density in PAPER_DENSITIES if low < density < high]
    if inside:
        return min(inside, key=lambda density: abs(math.log(density / middle)))
    return float(f"{middle:.2g}")
