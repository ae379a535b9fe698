"""Explain a reproduction: the assumptions behind its runs, and why a cell differs from the paper.

A rule takes a cell and yields reasons. The sentences are in `assets/words` under `paper.setting.` and
`paper.reason.`; every number in a sentence comes from a run, the paper or a formula.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.points import SINC_REACH, best_accuracy, constant_rmse
from sparsecore.paper.comparison import ComparedCell, Comparison
from sparsecore.paper.reproduction import ReproducedRun, Reproduction
from sparsecore.paper.thesis import paper_table
from sparsecore.words import Say

PRINTED_ANGLE_NOISE = 1.0  # σ ~ N(0, 1) in the thesis's section 3.2
SIMILAR = 0.1  # relative difference below which two training RMSEs count as similar
FAR_FROM_DENSE = 10.0  # percentage points; a value repeated this far below dense is no coincidence
REPEATED = 2

# -- assumptions ------------------------------------------------------------------------------------------


_SHARED = (
    ("initial", "open"),
    ("layers", "open"),
    ("layer_budget", "misprint"),
    ("distance", "misprint"),
)
_SYNTHETIC = (("repeats", "open"), ("batch", "open"), ("limit", "open"), ("floors", "ours"))
ASSUMPTIONS: dict[str, tuple[tuple[str, Literal["open", "misprint", "ours"]], ...]] = {
    "3-1": (("range", "open"), ("test_points", "open"), ("rmse", "misprint"), *_SHARED, *_SYNTHETIC),
    "3-2": (
        ("angle_noise", "misprint"),
        ("loss", "open"),
        ("weights", "misprint"),
        ("figures", "misprint"),
        *_SHARED,
        *_SYNTHETIC,
    ),
    "3-4": (("texts", "open"), ("watch", "open"), ("network", "open"), ("text_rate", "open"), *_SHARED),
}


@dataclass(frozen=True)
class Assumption:
    """One assumption: the thesis leaves it open, misprints it, or it is our own choice."""

    name: str
    kind: Literal["open", "misprint", "ours"]
    values: dict[str, Any]

    def thesis(self, say: Say) -> str:
        """Return what the thesis says, in the reader's language."""
        return say(f"paper.setting.{self.name}", **self.values)

    def chosen(self, say: Say) -> str:
        """Return what these runs do."""
        return say(f"paper.setting.{self.name}.ours", **self.values)


def assumptions_of(reproduction: Reproduction) -> list[Assumption]:
    """Return the assumptions of a table, with the values of its runs."""
    task = paper_table(reproduction.table).task
    config = RunConfig.parse({"task": task, "size": reproduction.size} | reproduction.parameters)
    values = {
        "reach": f"{SINC_REACH:g}",
        "noise": f"{config.noise:g}",
        "ceiling": f"{100 * best_accuracy(PRINTED_ANGLE_NOISE):.1f}",
        "runs": len(reproduction.seeds),
        "seeds": ", ".join(map(str, reproduction.seeds)),
        "max_steps": "" if config.max_steps is None else f"{config.max_steps:,}",
        "theta": f"{config.theta:g}",
        "learning_rate": f"{config.learning_rate:g}",
        "neuron": reproduction.floors["keep_alive"],
        "layer": reproduction.floors["keep_alive_layer"],
    }
    return [Assumption(name, kind, values) for name, kind in ASSUMPTIONS[reproduction.table]]


# -- reasons -----------------------------------------------------------------------------------------------


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
    rules = (
        *(_progress, _failed, _collapsed, _kept_alive, _beyond, _same, _size, _texts, _printed_constant),
        *(_printed_worse_than_constant, _fits_better, _test_points, _angle_noise, _step_limit, _one_seed),
    )
    found = [reason for rule in rules for reason in rule(facts)]
    if facts.differs and not any(reason.cause for reason in found):
        found.append(Reason("open"))
    return found


# -- what happened ----------------------------------------------------------------------------------------


def _progress(facts: Facts) -> Iterator[Reason]:
    done, planned = facts.cell.finished, len(facts.cell.trials)
    if not done:
        yield Reason("missing")
    elif done < planned:
        yield Reason("unfinished", {"done": done, "total": planned})


def _failed(facts: Facts) -> Iterator[Reason]:
    if facts.cell.failed:
        yield Reason("failed", _share(facts, facts.cell.failed), cause=True)


def _collapsed(facts: Facts) -> Iterator[Reason]:
    """Report which layer was emptied at which step, or from which step the output ignored the input."""
    by_layer: dict[str | None, list[ReproducedRun]] = {}
    for trial in facts.cell.collapsed:
        by_layer.setdefault(trial.detail.get("layer"), []).append(trial)
    # Past an emptied Transformer block the residual stream still carries the input.
    empty = "empty_block" if tasks()[facts.whole.table.task].reads_texts else "empty"
    for layer, trials in by_layer.items():
        values = _share(facts, trials)
        if layer is None:
            yield Reason("constant", values, cause=True)
        else:
            yield Reason(empty, values | {"layer": layer}, cause=True)


def _kept_alive(facts: Facts) -> Iterator[Reason]:
    """Report that minimum counts prevent a collapse: the same ρ collapsed without them."""
    cell, floors = facts.cell, facts.whole.reproduction.floors
    if cell.column != "keep_alive" or cell.test.ours is None:
        return
    required = _floor_total(cell, floors)
    budget = max(trial.budget or 0 for trial in cell.trials)
    bare = facts.whole.rows[cell.density].get("global")
    if required > budget:
        yield Reason("floors_give_way", {"asked": f"{required:,}", "budget": f"{budget:,}"})
    elif bare and bare.collapsed and not cell.collapsed:
        yield Reason("alive", {"neuron": floors["keep_alive"], "layer": floors["keep_alive_layer"]})


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


def _beyond(facts: Facts) -> Iterator[Reason]:
    """Report whether the method still holds at a ρ that the paper does not print."""
    cell, dense = facts.cell, facts.whole.dense.test.ours
    holds = facts.whole.holds(cell)
    if cell.test.paper is None and holds is not None and not cell.collapsed and not cell.failed:
        yield Reason("holds" if holds else "broken", {"dense": facts.format_value(dense.mean)})


# -- why it differs ---------------------------------------------------------------------------------------


def _same(facts: Facts) -> Iterator[Reason]:
    test = facts.cell.test
    if test.verdict == "even":
        within = test.ours.holds(test.paper)
        yield Reason("within", {"count": test.ours.count}) if within else Reason("rounding")


def _size(facts: Facts) -> Iterator[Reason]:
    size = facts.whole.reproduction.size
    if size != "paper" and facts.differs:
        yield Reason("size", {"size": size}, cause=True)


def _texts(facts: Facts) -> Iterator[Reason]:
    if tasks()[facts.whole.table.task].reads_texts and facts.differs:
        given = facts.whole.reproduction.parameters.get("data")
        yield Reason("other_texts" if given else "generated", cause=True)


def _printed_constant(facts: Facts) -> Iterator[Reason]:
    """The paper prints one value for several ρ, far below dense: its network ignored the input there."""
    cell, table = facts.cell, facts.whole.table
    theirs, dense = cell.test.paper, table.value(1.0, "global", "test")
    if not facts.differs or table.lower_is_better or dense - theirs < FAR_FROM_DENSE:
        return
    times = Counter(table.value(rho, cell.column, "test") for rho in table.densities)[theirs]
    if times >= REPEATED:
        yield Reason("printed_constant", {"value": facts.format_value(theirs), "times": times}, cause=True)


def _printed_worse_than_constant(facts: Facts) -> Iterator[Reason]:
    """The paper's RMSE exceeds that of a constant on our points: its test points are of another kind."""
    if facts.whole.table.task != "sinc" or not facts.differs:
        return
    theirs, constant = facts.cell.test.paper, constant_rmse(facts.noise)
    if theirs > constant:
        values = {"value": facts.format_value(theirs), "constant": facts.format_value(constant)}
        yield Reason("worse_than_constant", values, cause=True)


def _test_points(facts: Facts) -> Iterator[Reason]:
    """Similar on the training points but different on the test points, which the thesis does not specify."""
    train = facts.cell.train
    if facts.whole.table.task != "sinc" or not facts.differs or facts.cell.collapsed:
        return
    if train.ours is not None and abs(train.difference) <= SIMILAR * train.paper:
        yield Reason("test_points", _training_values(facts), cause=True)


def _fits_better(facts: Facts) -> Iterator[Reason]:
    """Ours is better on the training points too: the thesis's run stopped before it had learnt as much."""
    cell, train = facts.cell, facts.cell.train
    if cell.test.verdict != "better" or train.verdict != "better" or cell.collapsed:
        return
    if facts.whole.table.lower_is_better:
        far = abs(train.difference) > SIMILAR * train.paper
    else:
        far = train.difference >= FAR_FROM_DENSE
    if far:
        yield Reason("fits_better", _training_values(facts), cause=True)


def _angle_noise(facts: Facts) -> Iterator[Reason]:
    """The printed noise of the spirals makes the printed accuracy impossible."""
    ceiling = facts.whole.table.in_unit(best_accuracy(PRINTED_ANGLE_NOISE))
    if facts.whole.table.task == "spirals" and facts.differs and facts.cell.test.paper > ceiling:
        yield Reason("angle_noise", {"ceiling": f"{ceiling:.1f}", "noise": f"{facts.noise:g}"}, cause=True)


def _step_limit(facts: Facts) -> Iterator[Reason]:
    """The step limit ended runs that were still moving, and ours are worse."""
    cut = [trial for trial in facts.cell.trials if trial.reason == "max_steps"]
    if facts.cell.test.verdict == "worse" and cut:
        yield Reason("step_limit", _share(facts, cut), cause=True)


def _one_seed(facts: Facts) -> Iterator[Reason]:
    if facts.differs and facts.cell.test.ours.count == 1:
        yield Reason("one_run")


def _training_values(facts: Facts) -> dict[str, str]:
    train = facts.cell.train
    return {"ours": facts.format_value(train.ours.mean), "theirs": facts.format_value(train.paper)}


def _share(facts: Facts, trials: Sequence[ReproducedRun]) -> dict[str, Any]:
    """Return how many of a cell's runs these are, and the steps at which it happened."""
    steps = _steps([trial.detail.get("step", trial.step) for trial in trials])
    return {"count": len(trials), "total": len(facts.cell.trials), "steps": steps}


def _steps(steps: list[int]) -> str:
    """Format one step, or a range of steps.

    >>> _steps([3, 1200, 40]), _steps([7, 7])
    ('3–1,200', '7')
    """
    low, high = min(steps), max(steps)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
