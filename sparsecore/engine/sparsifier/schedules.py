"""Density schedules: ρ as a pure function of the step, so that a run can be replayed from any step."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Protocol

SCHEDULES = ("constant", "cubic", "linear", "cosine", "cyclic")
# A weight pruned in error may come back twice, and the last of three descents still has a fifth of the steps.
CYCLES = 3
LEAST = {"steps": 1, "period": 2, "cycles": 1, "begin": 0}


class Schedule(Protocol):
    """A function of the step alone: the density ρ in (0, 1] that holds at it."""

    def __call__(self, step: int) -> float: ...


class _Checked:
    """Refuses fields outside their ranges: densities in (0, 1], counts of steps whole and not too small."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.default is None:
                continue
            if field.name in LEAST:
                _check_whole(field.name, value, LEAST[field.name])
            elif isinstance(value, bool) or not isinstance(value, Real) or not 0 < value <= 1:
                raise ValueError(f"{field.name} must be greater than 0 and at most 1; got {value!r}.")


def _check_whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}; got {value!r}.")


@dataclass(frozen=True)
class Constant(_Checked):
    """The same density ρ in (0, 1] at every step, as in the thesis; raises `ValueError` for any other.

    >>> Constant(0.1)(5_000)
    0.1
    """

    density: float

    def __call__(self, step: int) -> float:
        return float(self.density)


@dataclass(frozen=True)
class _Ramp(_Checked, ABC):
    """From `start` to `end` in `steps` steps, which begin at step `begin`."""

    start: float
    end: float
    steps: int
    begin: int = 0

    def __call__(self, step: int) -> float:
        if step <= self.begin:
            return float(self.start)
        if step >= self.begin + self.steps:
            return float(self.end)
        return _between(self.start, self.end, self._remaining((step - self.begin) / self.steps))

    @abstractmethod
    def _remaining(self, progress: float) -> float:
        """The share of the way from `start` to `end` that is left, 1 at progress 0 and 0 at progress 1."""


@dataclass(frozen=True)
class Linear(_Ramp):
    """A straight line: end + (start − end)(1 − t), t the share of the steps done.

    start, end: densities in (0, 1]; either may be the larger one. steps: of the way, at least 1. begin: the
    step at which it begins; before it, `start` holds, from `begin + steps` on exactly `end`. Raises
    `ValueError` for values outside these. The exponent 1 of Zhu & Gupta (2017).

    >>> [round(Linear(1.0, 0.2, steps=4)(step), 3) for step in (0, 1, 2, 4, 9)]
    [1.0, 0.8, 0.6, 0.2, 0.2]
    """

    def _remaining(self, progress: float) -> float:
        return 1 - progress


@dataclass(frozen=True)
class Cubic(_Ramp):
    """Gradual magnitude pruning: end + (start − end)(1 − t)³, fast while much is redundant, then slowly.

    Fields, ranges and errors are those of `Linear`. Zhu & Gupta (2017), "To prune, or not to prune",
    equation 1, which is written in sparsities; in densities 1 − sparsity it reads the same.

    >>> [round(Cubic(1.0, 0.2, steps=4)(step), 3) for step in (0, 1, 2, 3, 4)]
    [1.0, 0.538, 0.3, 0.213, 0.2]
    """

    def _remaining(self, progress: float) -> float:
        rest = 1 - progress
        return rest * rest * rest


@dataclass(frozen=True)
class Cosine(_Ramp):
    """Half a cosine: end + (start − end)(1 + cos πt)/2, slow at both ends.

    Fields, ranges and errors are those of `Linear`. The annealing of Loshchilov & Hutter (2017), "SGDR",
    equation 5, with a density for the learning rate.

    >>> [round(Cosine(1.0, 0.2, steps=4)(step), 3) for step in (0, 1, 2, 3, 4)]
    [1.0, 0.883, 0.6, 0.317, 0.2]
    """

    def _remaining(self, progress: float) -> float:
        return _half_cosine(progress)


@dataclass(frozen=True)
class Cyclic(_Checked):
    """A cosine that swings from `start` to `end` and back: what was pruned in error gets room to return.

    start, end, begin: as in `Linear`. period: steps of a whole swing, there and back, at least 2. cycles: how
    many times `end` is reached; from `begin + (cycles − ½)·period` on it stays. None: it swings for ever.
    Raises `ValueError` for values outside these. The periodic schedule of Srinivas et al. (2022), "Cyclical
    pruning for sparse neural networks"; theirs jumps back to `start`, this one returns as it went, since a
    jump hands the budget to weights that are all still zero.

    >>> swing = Cyclic(1.0, 0.2, period=4, cycles=2)
    >>> [round(swing(step), 3) for step in range(8)]
    [1.0, 0.6, 0.2, 0.6, 1.0, 0.6, 0.2, 0.2]
    """

    start: float
    end: float
    period: int
    cycles: int | None = None
    begin: int = 0

    def __call__(self, step: int) -> float:
        elapsed = step - self.begin
        if elapsed <= 0:
            return float(self.start)
        if self.cycles is not None and 2 * elapsed >= (2 * self.cycles - 1) * self.period:
            return float(self.end)
        return _between(self.start, self.end, _half_cosine(2 * (elapsed % self.period) / self.period))


def _half_cosine(progress: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2


def _between(start: float, end: float, remaining: float) -> float:
    # end + (start − end) need not equal start: with an end of 1, a start of 1e-20 would become 0.
    return float(start if remaining == 1 else end + (start - end) * remaining)


def make(name: str, start: float, end: float, steps: int) -> Schedule:
    """The schedule of a name in a config: from `start` to `end`, exactly `end` from step `steps` on.

    name: one of `SCHEDULES`. "constant" is `end` from the first step on and looks at neither `start` nor
    `steps`. "cyclic" reaches `end` three times (once, when there are fewer than 5 steps), the last time at
    `steps` or, for the period is a whole number, up to two steps before.

    Raises `ValueError` for an unknown name, and what the schedule itself raises.

    >>> make("cyclic", 1.0, 0.1, steps=1_000)
    Cyclic(start=1.0, end=0.1, period=400, cycles=3, begin=0)
    """
    if name not in SCHEDULES:
        raise ValueError(f"a schedule is one of {', '.join(SCHEDULES)}; got {name!r}.")
    if name == "constant":
        return Constant(end)
    if name != "cyclic":
        return {"cubic": Cubic, "linear": Linear, "cosine": Cosine}[name](start, end, steps)
    _check_whole("steps", steps, 1)
    descents = 2 * CYCLES - 1
    if steps < descents:
        return Cyclic(start, end, period=2 * steps, cycles=1)
    return Cyclic(start, end, period=2 * steps // descents, cycles=CYCLES)
