"""Project many models onto ‖w‖₀ ≤ s at once, one per row, by plain tensor operations on any device.

The result for each row equals that of `project.project_`. The s-th largest magnitude of every row is found
bit by bit, from the highest: one pass per bit, whatever the values, without waiting for the device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sparsecore.engine.projection.project import Projection
from sparsecore.engine.projection.threshold import LAYOUTS, NotANumber


class NotANumberInModel(NotANumber):
    """A weight of one of many models is NaN: `model` is its row, `parameter` the name of the tensor."""

    def __init__(self, model: int, position: int, parameter: str) -> None:
        super().__init__(position)
        self.model, self.parameter = model, parameter
        text = (
            f"{parameter} of model {model} contains a NaN: magnitudes cannot be ordered; nothing was changed."
        )
        self.args = (text,)


class Cuts(NamedTuple):
    """The result of projecting N rows, on the device of the rows.

    stay: the support, bool (N, K). threshold: the s-th largest magnitude, infinite for a budget of 0, (N,).
    changed: the number of mask positions that differ from before, (N,).
    """

    stay: Tensor
    threshold: Tensor
    changed: Tensor


@torch.no_grad()
def project_many_(
    weights: Tensor,
    keep: Sequence[int],
    parts: Mapping[str, int],
    *,
    masks: Tensor | None = None,
    counts: Tensor | None = None,
) -> list[Projection]:
    """Keep the `keep[i]` largest magnitudes of row i, in place, and set the rest to zero.

    Each row is treated as `project_` treats its tensors: exactly `keep[i]` survive; among equal magnitudes
    the lower index wins.

    weights: (N, K), float32, float64, bfloat16 or float16; may be a column slice of a larger tensor.
    parts: names and sizes of the tensors concatenated in a row; the sizes sum to K.
    masks: bool, counts: int32, both (N, K): the support is written over the masks, and added to the counts.

    Raises, before anything is changed: `NotANumberInModel` for a NaN; `ValueError` for a budget outside 0..K
    and for shapes and dtypes other than these.

    >>> w = torch.tensor([[3.0, -1.0, 2.0], [1.0, 1.0, 1.0]])
    >>> [done.kept for done in project_many_(w, [2, 1], {"fc1": 1, "fc2": 2})]
    [(1, 1), (1, 0)]
    >>> w.tolist()
    [[3.0, 0.0, 2.0], [1.0, 0.0, 0.0]]
    """
    _check(weights, keep, parts, masks, counts)
    rows, total = weights.shape
    if not rows or not total:
        return [Projection((0,) * len(parts), math.inf, None if masks is None else 0)] * rows
    _refuse_nan(weights, parts)
    held = torch.ones_like(weights, dtype=torch.bool) if masks is None else masks
    sound = torch.ones(rows, 1, dtype=torch.bool, device=weights.device)
    cuts = cut_rows_(weights, torch.tensor(keep, device=weights.device), held, counts, sound)
    kept = kept_of_parts(cuts.stay, list(parts.values())).tolist()
    moved = [None] * rows if masks is None else cuts.changed.tolist()
    figures = zip(map(tuple, kept), cuts.threshold.tolist(), moved, strict=True)
    return [Projection(*figure) for figure in figures]


def cut_rows_(weights: Tensor, keep: Tensor, masks: Tensor, counts: Tensor | None, sound: Tensor) -> Cuts:
    """`project_many_` without its checks and without waiting for the device.

    keep: (N,) on the device. sound: bool (N, 1), False for rows that are left as they are, masks and counts
    too, since a NaN is in them.
    """
    magnitudes = to_magnitudes(weights)
    bits = nth_largest(magnitudes, keep)
    above, equal = magnitudes > bits, magnitudes == bits
    missing = keep[:, None] - above.sum(dim=1, keepdim=True)
    stay = above | (equal & (equal.cumsum(dim=1) <= missing))
    stay = torch.where(sound, stay, masks)
    changed = (stay ^ masks).sum(dim=1)
    masks.copy_(stay)
    if counts is not None:
        counts.add_(stay & sound)
    weights.masked_fill_(~stay & sound, 0.0)
    threshold = bits.view(weights.dtype)[:, 0].masked_fill(keep == 0, math.inf)
    return Cuts(stay, threshold, changed)


def to_magnitudes(weights: Tensor) -> Tensor:
    """Return the bits of the magnitudes as integers of the same order; NaN is above infinity."""
    integer = LAYOUTS[weights.dtype].integer
    return weights.view(integer) & torch.iinfo(integer).max


def with_nan(magnitudes: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the rows that hold a NaN, bool (N, 1)."""
    return magnitudes.amax(dim=1, keepdim=True) > LAYOUTS[dtype].infinity


def nth_largest(magnitudes: Tensor, nth: Tensor) -> Tensor:
    """Return the `nth[i]` largest of row i, (N, 1): the largest integer that `nth[i]` values reach."""
    found = torch.zeros_like(magnitudes[:, :1])
    for bit in reversed(range(torch.iinfo(magnitudes.dtype).bits - 1)):
        tried = found | 1 << bit
        reached = (magnitudes >= tried).sum(dim=1, keepdim=True)
        found = torch.where(reached >= nth[:, None], tried, found)
    return found


def kept_of_parts(stay: Tensor, sizes: Sequence[int]) -> Tensor:
    """Count the survivors of each of the tensors concatenated in a row, (N, number of tensors)."""
    return torch.stack([part.sum(dim=1) for part in stay.split(list(sizes), dim=1)], dim=1)


def _refuse_nan(weights: Tensor, parts: Mapping[str, int]) -> None:
    suspects = with_nan(to_magnitudes(weights), weights.dtype)[:, 0].nonzero()
    if len(suspects):
        model = int(suspects[0])
        for position, (name, part) in enumerate(
            zip(parts, weights[model].split([*parts.values()]), strict=True)
        ):
            if bool(part.isnan().any()):
                raise NotANumberInModel(model, position, name)


def _check(
    weights: Tensor,
    keep: Sequence[int],
    parts: Mapping[str, int],
    masks: Tensor | None,
    counts: Tensor | None,
) -> None:
    if weights.ndim != 2 or weights.dtype not in LAYOUTS:
        raise ValueError(
            "weights must be (models, weights) of float32, float64, bfloat16 or float16; "
            f"got {weights.dtype} of shape {tuple(weights.shape)}."
        )
    rows, total = weights.shape
    if sum(parts.values()) != total:
        raise ValueError(f"parts must sum to the {total:,} weights of a row; got {dict(parts)}.")
    if len(keep) != rows:
        raise ValueError(f"keep must have one entry per model ({rows}); got {len(keep)}.")
    for model, budget in enumerate(keep):
        if not 0 <= budget <= total:
            raise ValueError(f"keep must be from 0 to {total:,}; model {model} was given {budget}.")
    for name, given, dtype in (("masks", masks, torch.bool), ("counts", counts, torch.int32)):
        if given is not None and (given.dtype is not dtype or given.shape != weights.shape):
            raise ValueError(
                f"{name} must be {dtype} of shape {tuple(weights.shape)}; "
                f"got {given.dtype} of shape {tuple(given.shape)}."
            )
