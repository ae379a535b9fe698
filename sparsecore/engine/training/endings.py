"""What ends a run, and the memory that needs: a layer dead for long, an output that ignores the input, θ."""

from typing import Any

from sparsecore.engine.sparsifier.base import Sparsifier
from sparsecore.engine.tasks.base import Metrics, Task

COLLAPSE_STEPS = 50  # a layer may empty for a moment and come back; after this many steps it is dead
FLAT_RECORDS = 3  # measurements in a row with one and the same output for every input
REMEMBERED = ("best", "stale", "flat", "empty_since")

Ending = tuple[str, dict[str, Any]]


class Endings:
    """Looks at a run after every step and every measurement, and says when it is over, and why.

    best: the best value of the task's watched metric; stale: measurements since then.
    flat: measurements in a row with a constant output.
    empty_since: step since which a constrained layer has been without a weight.
    """

    def __init__(self, task: Task, theta: float) -> None:
        self.task, self.theta = task, theta
        self.best: float | None = None
        self.stale = self.flat = 0
        self.empty_since: dict[str, int] = {}

    def after_step(self, step: int, update: float, sparsifier: Sparsifier) -> Ending | None:
        """`collapsed` or `converged` once the step's length ‖Δw‖ says so; None to go on."""
        dead = self._dead_layer(step, sparsifier)
        small = update < self.theta
        if dead and (small or step - self.empty_since[dead] >= COLLAPSE_STEPS):
            return self.collapse(step, sparsifier)
        if small and self._is_flat():
            return "collapsed", {"step": step, "what": "constant"}
        if small:
            return "converged", {"what": "theta", "update": update, "theta": self.theta}
        return None

    def after_measurement(self, step: int, measured: Metrics, sparsifier: Sparsifier) -> Ending | None:
        """`collapsed` for an output that stays constant, `converged` when patience is over."""
        self.flat = self.flat + 1 if self._is_flat() else 0
        if self.flat >= FLAT_RECORDS:
            return self.collapse(step, sparsifier) or ("collapsed", {"step": step, "what": "constant"})
        watched = self.task.watched(measured)
        if watched is None or self.task.patience is None:
            return None
        better = self.best is None or watched > self.best
        self.best, self.stale = (watched, 0) if better else (self.best, self.stale + 1)
        if self.stale >= self.task.patience:
            found = {"what": "patience", "times": self.stale, "best": self.best}
            return self.collapse(step, sparsifier) or ("converged", found)
        return None

    def collapse(self, step: int, sparsifier: Sparsifier) -> Ending | None:
        """The ending of a network with an empty layer; None while every layer lives."""
        dead = self._dead_layer(step, sparsifier)
        if dead is None:
            return None
        return "collapsed", {"step": self.empty_since[dead], "what": "empty", "layer": dead}

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs of it."""
        return {name: getattr(self, name) for name in REMEMBERED}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's."""
        for name in REMEMBERED:
            setattr(self, name, state[name])

    def _dead_layer(self, step: int, sparsifier: Sparsifier) -> str | None:
        """The layer under the constraint that has been without a weight for longest; None if all live.

        A block counts as one layer: past an emptied matrix its residual stream still carries the input.
        """
        kept: dict[str, int] = {}
        for layer, left in zip(sparsifier.layers, sparsifier.kept, strict=True):
            if layer.group is not None:
                kept[layer.block] = kept.get(layer.block, 0) + left
        empty = [block for block, left in kept.items() if not left]
        self.empty_since = {block: self.empty_since.get(block, step) for block in empty}
        return min(self.empty_since, key=self.empty_since.__getitem__, default=None)

    def _is_flat(self) -> bool:
        outputs = self.task.outputs()
        return bool((outputs == outputs[:1]).all())
