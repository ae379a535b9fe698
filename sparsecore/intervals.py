"""A mean over seeds and its 95 % interval by Student's t."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Mean:
    """The mean of `count` values; `half` is half the width of its interval, None for a single value.

    >>> found = Mean.of([1.0, 2.0, 3.0])
    >>> found.mean, round(found.half, 3)
    (2.0, 2.484)
    """

    mean: float
    half: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean | None:
        """Of these values; None without any."""
        if not values:
            return None
        mean, count = statistics.fmean(values), len(values)
        if count == 1:
            return cls(mean, None, 1)
        quantile = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2))
        return cls(mean, quantile * statistics.stdev(values) / count**0.5, count)

    def holds(self, value: float) -> bool:
        """Whether the interval holds a value; a single value has no interval."""
        return self.half is not None and abs(value - self.mean) <= self.half
