"""Who keeps how many: the integer budget of each group of weights."""

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction


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


def erk(density: float, shapes: Mapping[str, Sequence[tuple[int, ...]]]) -> dict[str, int]:
    """Erdős–Rényi-Kernel budgets: small layers stay denser, the whole keeps exactly round(ρ·K).

    density: ρ in (0, 1], of all K weights together.
    shapes: of each group's weight tensors, such as (out, in) or (out, in, height, width).

    The raw score of a tensor is (sum of its dimensions) / (product of its dimensions); its density is that
    score times one factor ε common to all (Mocanu et al., 2018, for matrices; Evci et al., 2020,
    "Rigging the lottery", section 3, for kernels). A group of several tensors, such as a Transformer block,
    shares one budget, so its score is that of its tensors weighted by their sizes: it gets
    ε·Σ(sum of dimensions), and its largest weights decide which tensor keeps them. A group that would get
    more than it has is kept whole, and ε grows until the others have taken up the surplus. What rounding
    down leaves goes to the largest fractions, equal ones in the order given. All of it is exact arithmetic.

    Raises `ValueError` for a density outside (0, 1].

    >>> erk(0.1, {"fc1": [(100, 10)], "fc2": [(100, 100)], "fc3": [(2, 100)]})
    {'fc1': 326, 'fc2': 594, 'fc3': 200}
    """
    sizes = {group: sum(math.prod(shape) for shape in tensors) for group, tensors in shapes.items()}
    spans = {group: sum(sum(shape) for shape in tensors) for group, tensors in shapes.items()}
    total = round(check_density(density) * sum(sizes.values()))
    return _largest_remainder(total, _shares(total, sizes, spans))


def _shares(total: int, sizes: Mapping[str, int], spans: Mapping[str, int]) -> dict[str, Fraction]:
    """`total` in proportion to `spans`, none above its size; the shares sum to `total` exactly."""
    full: set[str] = set()
    while True:
        left = total - sum(sizes[group] for group in full)
        spread = sum(span for group, span in spans.items() if group not in full)
        factor = Fraction(left, spread) if spread else Fraction(0)
        over = {group for group in sizes if group not in full and factor * spans[group] > sizes[group]}
        if not over:
            return {g: Fraction(sizes[g]) if g in full else factor * spans[g] for g in sizes}
        full |= over


def _largest_remainder(total: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    budgets = {group: math.floor(share) for group, share in shares.items()}
    by_fraction = sorted(shares, key=lambda group: budgets[group] - shares[group])
    for group in by_fraction[: total - sum(budgets.values())]:
        budgets[group] += 1
    return budgets


def mapping(densities: Mapping[str, float], weights: Mapping[str, int]) -> dict[str, int]:
    """The budget s = round(ρ·K) of each group, ρ that of the first pattern which matches its name.

    densities: glob patterns on group names (`*`, `?`, `[abc]`; case counts, `*` crosses dots) to densities in
    (0, 1]; of several that match, the first in the mapping's order wins. weights: the number of weights of
    each group.

    Raises `ValueError` for a density outside (0, 1], a group that no pattern matches, and a pattern that
    matches no group.

    >>> mapping({"blocks.0": 0.5, "blocks.*": 0.1}, {"blocks.0": 1_000, "blocks.1": 1_000})
    {'blocks.0': 500, 'blocks.1': 100}
    """
    for pattern in densities:
        if not any(fnmatchcase(group, pattern) for group in weights):
            raise ValueError(
                f"the pattern {pattern!r} matches no group; the groups are {', '.join(weights)}."
            )
    budgets: dict[str, int] = {}
    for group, count in weights.items():
        density = next((ρ for pattern, ρ in densities.items() if fnmatchcase(group, pattern)), None)
        if density is None:
            raise ValueError(
                f"no pattern matches the group {group}; the patterns are {', '.join(densities)}. "
                "Add one for it, or '*' at the end for the rest."
            )
        budgets[group] = round(check_density(density) * count)
    return budgets
