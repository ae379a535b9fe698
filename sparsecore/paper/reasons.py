"""Explain why a cell differs from the paper: rules over the facts of its runs.

A rule takes a cell and returns reasons, if any. The sentences are in `assets/words` under `paper.reason.`;
every number in a sentence comes from a run, the paper or a formula.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from sparsecore.engine.cards import tasks
from sparsecore.engine.tasks.points import best_accuracy, constant_rmse
from sparsecore.paper.comparison import ComparedCell, Comparison
from sparsecore.paper.reproduction import ReproducedRun
from sparsecore.words import Say

PRINTED_ANGLE_NOISE = 1.0  # σ ~ N(0, 1) in the thesis's section 3.2
SIMILAR = 0.1  # relative difference below which two training RMSEs count as similar
FAR_FROM_DENSE = 10.0  # percentage points; a value repeated this far below dense is no coincidence
REPEATED = 2


@dataclass(frozen=True)
class Reason:
    """The key of a sentence and its values. `cause`: it explains a difference."""

    key: str
    values: dict[str, Any] = field(default_factory=dict)
    cause: bool = False

    def sentence(self, say: Say) -> str:
        """Return the reason in the reader's language."""
        return say(f"paper.reason.{self.key}", **self.values)


@dataclass(frozen=True)
class Facts:
    """A cell and the comparison around it."""

    cell: ComparedCell
    whole: Comparison

    @property
    def differs(self) -> bool:
        return self.cell.test.verdict in ("better", "worse")

    @property
    def noise(self) -> float:
        """The noise of our runs, in the task's unit."""
        default = tasks()[self.whole.table.task].parameters["noise"].default
        return self.whole.reproduction.parameters.get("noise", default)

    def format_value(self, value: float) -> str:
        return self.whole.table.format_value(value)


def reasons(cell: ComparedCell, whole: Comparison) -> list[Reason]:
    """Return all reasons for a cell: first what happened, then the causes of a difference."""
    facts = Facts(cell, whole)
    found = [reason for rule in RULES for reason in rule(facts)]
    if facts.differs and not any(reason.cause for reason in found):
        found.append(Reason("open"))
    return found


# -- what happened ----------------------------------------------------------------------------------------


def _progress(facts: Facts) -> list[Reason]:
    cell = facts.cell
    planned = len(cell.trials)
    if not cell.finished:
        return [Reason("missing")]
    if cell.finished == planned:
        return []
    return [Reason("unfinished", {"done": cell.finished, "total": planned})]


def _failed(facts: Facts) -> list[Reason]:
    cell = facts.cell
    if not cell.failed:
        return []
    steps = _steps([trial.step for trial in cell.failed])
    return [
        Reason("failed", {"count": len(cell.failed), "total": len(cell.trials), "steps": steps}, cause=True)
    ]


def _collapsed(facts: Facts) -> list[Reason]:
    """Report which layer was emptied at which step, or from which step the output ignored the input."""
    cell, found = facts.cell, []
    by_layer: dict[str | None, list[ReproducedRun]] = {}
    for trial in cell.collapsed:
        by_layer.setdefault(trial.detail.get("layer"), []).append(trial)
    for layer, trials in by_layer.items():
        steps = _steps([trial.detail.get("step", trial.step) for trial in trials])
        values = {"count": len(trials), "total": len(cell.trials), "steps": steps}
        # Past an emptied Transformer block the residual stream still carries the input.
        empty = "empty_block" if tasks()[facts.whole.table.task].reads_texts else "empty"
        if layer is None:
            found.append(Reason("constant", values, cause=True))
        else:
            found.append(Reason(empty, values | {"layer": layer}, cause=True))
    return found


def _kept_alive(facts: Facts) -> list[Reason]:
    """Report that minimum counts prevent a collapse: the same ρ collapsed without them."""
    cell, whole = facts.cell, facts.whole
    if cell.column != "keep_alive" or cell.test.ours is None:
        return []
    required = _floor_total(cell, whole.reproduction.floors)
    budget = max(trial.budget or 0 for trial in cell.trials)
    if required > budget:
        return [Reason("floors_give_way", {"asked": f"{required:,}", "budget": f"{budget:,}"})]
    bare = whole.rows[cell.density].get("global")
    if cell.collapsed or bare is None or not bare.collapsed:
        return []
    floors = whole.reproduction.floors
    return [Reason("alive", {"neuron": floors["keep_alive"], "layer": floors["keep_alive_layer"]})]


def _floor_total(cell: ComparedCell, floors: dict[str, int]) -> int:
    """Return the total number of weights required by the minimum counts.

    Same rule as `KeepAlive.total`, which needs torch.
    """
    layers = max((trial.layers for trial in cell.trials), key=len)
    total = 0
    for outputs, *inputs in (layer.shape for layer in layers if layer.prunable):
        row = prod(inputs)
        neurons = outputs * min(floors["keep_alive"], row)
        total += min(outputs * row, max(floors["keep_alive_layer"], neurons))
    return total


def _beyond(facts: Facts) -> list[Reason]:
    """Report whether the method still holds at a ρ that the paper does not print."""
    cell = facts.cell
    if cell.test.paper is not None or cell.test.ours is None:
        return []
    if cell.collapsed or cell.failed:
        return []
    dense = facts.format_value(facts.whole.dense.test.ours.mean) if facts.whole.dense.test.ours else ""
    holds = facts.whole.holds(cell)
    if holds is None:
        return []
    return [Reason("holds" if holds else "broken", {"dense": dense})]


# -- why it differs ---------------------------------------------------------------------------------------


def _same(facts: Facts) -> list[Reason]:
    test = facts.cell.test
    if test.verdict != "even":
        return []
    if test.ours.holds(test.paper):
        return [Reason("within", {"count": test.ours.count})]
    return [Reason("rounding")]


def _size(facts: Facts) -> list[Reason]:
    size = facts.whole.reproduction.size
    if size == "paper" or not facts.differs:
        return []
    return [Reason("size", {"size": size}, cause=True)]


def _texts(facts: Facts) -> list[Reason]:
    reproduction = facts.whole.reproduction
    if not tasks()[facts.whole.table.task].reads_texts or not facts.differs:
        return []
    return [Reason("other_texts" if reproduction.parameters.get("data") else "generated", cause=True)]


def _printed_constant(facts: Facts) -> list[Reason]:
    """The paper prints one value for several ρ, far below dense: its network ignored the input there."""
    cell, table = facts.cell, facts.whole.table
    theirs, dense = cell.test.paper, table.value(1.0, "global", "test")
    if theirs is None or table.lower_is_better or dense - theirs < FAR_FROM_DENSE:
        return []
    printed = Counter(table.value(rho, cell.column, "test") for rho in table.densities)
    if printed[theirs] < REPEATED or not facts.differs:
        return []
    return [
        Reason(
            "printed_constant", {"value": facts.format_value(theirs), "times": printed[theirs]}, cause=True
        )
    ]


def _printed_worse_than_constant(facts: Facts) -> list[Reason]:
    """The paper's RMSE exceeds that of a constant on our points: its test points are of another kind."""
    theirs = facts.cell.test.paper
    if facts.whole.table.task != "sinc" or theirs is None or not facts.differs:
        return []
    constant = constant_rmse(facts.noise)
    if theirs <= constant:
        return []
    values = {"value": facts.format_value(theirs), "constant": facts.format_value(constant)}
    return [Reason("worse_than_constant", values, cause=True)]


def _test_points(facts: Facts) -> list[Reason]:
    """Similar on the training points but different on the test points, which the thesis does not specify."""
    cell = facts.cell
    train = cell.train
    if facts.whole.table.task != "sinc" or not facts.differs or cell.collapsed:
        return []
    if train.ours is None or abs(train.difference) > SIMILAR * train.paper:
        return []
    values = {"ours": facts.format_value(train.ours.mean), "theirs": facts.format_value(train.paper)}
    return [Reason("test_points", values, cause=True)]


def _fits_better(facts: Facts) -> list[Reason]:
    """Ours is better on the training points too: the thesis's run stopped before it had learnt as much."""
    cell, table = facts.cell, facts.whole.table
    train = cell.train
    if cell.test.verdict != "better" or train.verdict != "better" or cell.collapsed:
        return []
    if table.lower_is_better and abs(train.difference) <= SIMILAR * train.paper:
        return []
    if not table.lower_is_better and train.difference < FAR_FROM_DENSE:
        return []
    values = {"ours": facts.format_value(train.ours.mean), "theirs": facts.format_value(train.paper)}
    return [Reason("fits_better", values, cause=True)]


def _angle_noise(facts: Facts) -> list[Reason]:
    """The printed noise of the spirals makes the printed accuracy impossible."""
    theirs = facts.cell.test.paper
    if facts.whole.table.task != "spirals" or theirs is None or not facts.differs:
        return []
    ceiling = facts.whole.table.in_unit(best_accuracy(PRINTED_ANGLE_NOISE))
    if theirs <= ceiling:
        return []
    return [Reason("angle_noise", {"ceiling": f"{ceiling:.1f}", "noise": f"{facts.noise:g}"}, cause=True)]


def _step_limit(facts: Facts) -> list[Reason]:
    """The step limit ended runs that were still moving, and ours are worse."""
    cell = facts.cell
    cut = [trial for trial in cell.trials if trial.reason == "max_steps"]
    if cell.test.verdict != "worse" or not cut:
        return []
    values = {
        "count": len(cut),
        "total": len(cell.trials),
        "steps": _steps([trial.step for trial in cut]),
    }
    return [Reason("step_limit", values, cause=True)]


def _one_seed(facts: Facts) -> list[Reason]:
    ours = facts.cell.test.ours
    return [Reason("one_run")] if facts.differs and ours.count == 1 else []


def _steps(steps: list[int]) -> str:
    """Format one step, or a range of steps.

    >>> _steps([3, 1200, 40]), _steps([7, 7])
    ('3–1,200', '7')
    """
    low, high = min(steps), max(steps)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


RULES: tuple[Callable[[Facts], list[Reason]], ...] = (
    _progress,
    _failed,
    _collapsed,
    _kept_alive,
    _beyond,
    _same,
    _size,
    _texts,
    _printed_constant,
    _printed_worse_than_constant,
    _fits_better,
    _test_points,
    _angle_noise,
    _step_limit,
    _one_seed,
)
