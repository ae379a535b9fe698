"""Who keeps how many: the integer budget of each group of weights."""

from __future__ import annotations

from collections.abc import Mapping


def check_density(density: float) -> float:
    """`density` itself when it lies in (0, 1]; a `ValueError` otherwise."""
    if not 0 < density <= 1:
        raise ValueError(f"density must be greater than 0 and at most 1; got {density!r}.")
    return float(density)


def uniform(density: float, weights: Mapping[str, int]) -> dict[str, int]:
    """The budget s = round(ρ·K) of each group, K its number of weights.

    `global` has one group over all prunable weights; `layerwise` one a layer.

    >>> uniform(0.4, {"fc2": 60_000})
    {'fc2': 24000}
    """
    return {group: round(check_density(density) * count) for group, count in weights.items()}
