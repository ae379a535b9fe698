"""Why a cell differs from the paper's: rules over the facts of its runs, each a sentence in both languages.

A rule looks at one cell and gives a reason, or nothing. The words are in `assets/words`, under
`paper.reason.`; a sentence holds no figure that a run, the paper or a formula did not give.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from sparsecore.engine.config import NOISE, TEXTS
from sparsecore.engine.tasks.points import best_accuracy, constant_rmse
from sparsecore.paper.comparison import Compared, Comparison
from sparsecore.paper.record import Trial

Say = Callable[..., str]

PRINTED_ANGLE_NOISE = 1.0  # σ ~ N(0, 1) in the thesis's section 3.2
ALIKE = 0.1  # two RMSEs on the training points within a tenth of each other are alike
FAR_FROM_DENSE = 10.0  # percentage points: so far down, a value that stands twice is no coincidence
REPEATED = 2


@dataclass(frozen=True)
class Reason:
    """One sentence to be: its key, and the values in it. `cause`: it explains a difference."""

    key: str
    values: dict[str, Any] = field(default_factory=dict)
    cause: bool = False

    def sentence(self, say: Say) -> str:
        """The reason in the reader's language."""
        return say(f"paper.reason.{self.key}", **self.values)


@dataclass(frozen=True)
class Facts:
    """A cell and the table around it."""

    cell: Compared
    whole: Comparison

    @property
    def differs(self) -> bool:
        return self.cell.test.verdict in ("better", "worse")

    def written(self, value: float) -> str:
        return self.whole.table.written(value)


def reasons(cell: Compared, whole: Comparison) -> list[Reason]:
    """All that there is to say of a cell, what happened first, then the causes of a difference."""
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
    steps = _span([trial.step for trial in cell.failed])
    return [
        Reason("failed", {"count": len(cell.failed), "total": len(cell.trials), "steps": steps}, cause=True)
    ]


def _collapsed(facts: Facts) -> list[Reason]:
    """Which layer died at which step; or that the output ignored its input from some step on."""
    cell, found = facts.cell, []
    by_layer: dict[str | None, list[Trial]] = {}
    for trial in cell.collapsed:
        by_layer.setdefault(trial.detail.get("layer"), []).append(trial)
    for layer, trials in by_layer.items():
        steps = _span([trial.detail.get("step", trial.step) for trial in trials])
        values = {"count": len(trials), "total": len(cell.trials), "steps": steps}
        # Past an emptied block of a Transformer its residual stream still carries the input.
        empty = "empty_block" if facts.whole.table.task == TEXTS else "empty"
        if layer is None:
            found.append(Reason("constant", values, cause=True))
        else:
            found.append(Reason(empty, values | {"layer": layer}, cause=True))
    return found


def _kept_alive(facts: Facts) -> list[Reason]:
    """What the floors mend: the same ρ without them collapsed."""
    cell, whole = facts.cell, facts.whole
    if cell.column != "keep_alive" or cell.test.ours is None:
        return []
    asked = _asked(cell, whole.found.floors)
    budget = max(trial.budget or 0 for trial in cell.trials)
    if asked > budget:
        return [Reason("floors_give_way", {"asked": f"{asked:,}", "budget": f"{budget:,}"})]
    bare = whole.rows[cell.density].get("global")
    if cell.collapsed or bare is None or not bare.collapsed:
        return []
    floors = whole.found.floors
    return [Reason("alive", {"neuron": floors["keep_alive"], "layer": floors["keep_alive_layer"]})]


def _asked(cell: Compared, floors: dict[str, int]) -> int:
    """How many weights the floors ask for, by the rule of `KeepAlive.total`, which needs torch."""
    layers = max((trial.layers for trial in cell.trials), key=len)
    asked = 0
    for outputs, *inputs in (layer.shape for layer in layers if layer.prunable):
        row = prod(inputs)
        neurons = outputs * min(floors["keep_alive"], row)
        asked += min(outputs * row, max(floors["keep_alive_layer"], neurons))
    return asked


def _beyond(facts: Facts) -> list[Reason]:
    """A ρ that the paper does not print: whether the method still holds there."""
    cell = facts.cell
    if cell.test.paper is not None or cell.test.ours is None:
        return []
    if cell.collapsed or cell.failed:
        return []
    dense = facts.written(facts.whole.dense.test.ours.mean) if facts.whole.dense.test.ours else ""
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
    size = facts.whole.found.size
    if size == "paper" or not facts.differs:
        return []
    return [Reason("size", {"size": size}, cause=True)]


def _texts(facts: Facts) -> list[Reason]:
    found = facts.whole.found
    if facts.whole.table.task != TEXTS or not facts.differs:
        return []
    return [Reason("other_texts" if found.parameters.get("data") else "generated", cause=True)]


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
        Reason("printed_constant", {"value": facts.written(theirs), "times": printed[theirs]}, cause=True)
    ]


def _printed_worse_than_constant(facts: Facts) -> list[Reason]:
    """The paper's RMSE is above that of a constant on our points: its test points are of another kind."""
    theirs, found = facts.cell.test.paper, facts.whole.found
    if facts.whole.table.task != "sinc" or theirs is None or not facts.differs:
        return []
    constant = constant_rmse(found.parameters.get("noise", NOISE["sinc"].default))
    if theirs <= constant:
        return []
    values = {"value": facts.written(theirs), "constant": facts.written(constant)}
    return [Reason("worse_than_constant", values, cause=True)]


def _test_points(facts: Facts) -> list[Reason]:
    """Alike on the training points, and apart on test points of which the thesis says nothing."""
    cell = facts.cell
    train = cell.train
    if facts.whole.table.task != "sinc" or not facts.differs or cell.collapsed:
        return []
    if train.ours is None or abs(train.difference) > ALIKE * train.paper:
        return []
    values = {"ours": facts.written(train.ours.mean), "theirs": facts.written(train.paper)}
    return [Reason("test_points", values, cause=True)]


def _fits_better(facts: Facts) -> list[Reason]:
    """Ours is better on the training points too: the thesis's run ended before it had learnt as much."""
    cell, table = facts.cell, facts.whole.table
    train = cell.train
    if cell.test.verdict != "better" or train.verdict != "better" or cell.collapsed:
        return []
    if table.lower_is_better and abs(train.difference) <= ALIKE * train.paper:
        return []
    if not table.lower_is_better and train.difference < FAR_FROM_DENSE:
        return []
    values = {"ours": facts.written(train.ours.mean), "theirs": facts.written(train.paper)}
    return [Reason("fits_better", values, cause=True)]


def _angle_noise(facts: Facts) -> list[Reason]:
    """The printed noise of the spirals forbids the printed accuracy."""
    theirs, found = facts.cell.test.paper, facts.whole.found
    if facts.whole.table.task != "spirals" or theirs is None or not facts.differs:
        return []
    ceiling = facts.whole.table.in_unit(best_accuracy(PRINTED_ANGLE_NOISE))
    if theirs <= ceiling:
        return []
    ours = found.parameters.get("noise", NOISE["spirals"].default)
    return [Reason("angle_noise", {"ceiling": f"{ceiling:.1f}", "noise": f"{ours:g}"}, cause=True)]


def _step_limit(facts: Facts) -> list[Reason]:
    """Runs that our limit of steps ended while they were still moving, where ours are the worse."""
    cell = facts.cell
    cut = [trial for trial in cell.trials if trial.reason == "max_steps"]
    if cell.test.verdict != "worse" or not cut:
        return []
    values = {"count": len(cut), "total": len(cell.trials), "steps": _span([trial.step for trial in cut])}
    return [Reason("step_limit", values, cause=True)]


def _one_seed(facts: Facts) -> list[Reason]:
    ours = facts.cell.test.ours
    return [Reason("one_run")] if facts.differs and ours.count == 1 else []


def _span(steps: list[int]) -> str:
    """One step, or from which to which.

    >>> _span([3, 1200, 40]), _span([7, 7])
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
