"""Project stacked models, each row by its own method and budget, by plain tensor operations on any device.

The result for each row equals that of `project.project_`. The s-th largest magnitude of every row is found
bit by bit, from the highest: one pass per bit, whatever the values, without waiting for the device.
"""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from sparsecore.engine.projection.threshold import LAYOUTS, magnitude_bits
from sparsecore.engine.sparsifier.base import Sparsifier


class Held(NamedTuple):
    """The projection of one model, with the figures that `Sparsifier.note` takes.

    sound: False for a model with a NaN among its constrained weights; such a model is left unchanged.
    """

    sound: bool
    kept: list[int]
    thresholds: dict[str, float]
    changed: int


class _Group(NamedTuple):
    """Weights that share a budget: name, layer indices, their columns and sizes."""

    name: str
    places: list[int]
    columns: slice
    sizes: list[int]


class _Part(NamedTuple):
    """Adjacent rows of one method: their sparsifiers, groups, and the columns that are not pruned."""

    rows: slice
    rules: list[Sparsifier]
    groups: list[_Group]
    kept: list[slice]


class Supports:
    """Masks, retention counts and budgets of stacked models.

    rules: the sparsifier of each row, rows of one method adjacent. is_cut: for each row, whether it is
    projected. columns: the columns of each weight matrix in a row, from 0 on without gaps.
    masks: bool, counts: int32, (N, K) over all weight matrices.
    is_steady: whether all budgets are constant, so that they are read once.
    """

    def __init__(
        self,
        rules: Sequence[Sparsifier],
        is_cut: Sequence[bool],
        columns: Sequence[slice],
        masks: Tensor,
        counts: Tensor,
        *,
        is_steady: bool,
    ) -> None:
        self.masks, self.counts, self.is_steady = masks, counts, is_steady
        self._sizes = [column.stop - column.start for column in columns]
        self._parts: list[_Part] = []
        start = 0
        pairs = zip(rules, is_cut, strict=True)
        for (cut, _), members in groupby(pairs, key=lambda pair: (pair[1], pair[0].members())):
            mine = [rule for rule, _ in members]
            self._parts.append(_part(slice(start, start + len(mine)), mine, columns, is_cut=cut))
            start += len(mine)
        self._keep: list[list[Tensor]] | None = None

    def project_(self, weights: Tensor) -> Tensor:
        """Project the weights (N, at least K) after a step; returns figures on the device, for `read`."""
        for part in self._parts:
            for rule in part.rules:
                rule.step += 1
        if self._keep is None or not self.is_steady:
            self._keep = [_budgets(part, weights.device) for part in self._parts]
        cut = [self._cut(part, keep, weights) for part, keep in zip(self._parts, self._keep, strict=True)]
        return torch.cat(cut)

    def read(self, figures: list[float]) -> list[Held]:
        """Unpack the figures of `project_` for each row."""
        found, place = [], 0
        for part in self._parts:
            for rule in part.rules:
                held, place = self._read(part, rule, figures, place)
                found.append(held)
        return found

    def _cut(self, part: _Part, keep: list[Tensor], weights: Tensor) -> Tensor:
        """Return per row: soundness, then per group the changed positions, threshold, kept weights."""
        for columns in part.kept:
            self.counts[part.rows, columns].add_(1)
        if not part.groups:
            return weights.new_empty(0)
        views = [weights[part.rows, group.columns] for group in part.groups]
        broken = [with_nan(view) for view in views]
        sound = ~torch.stack(broken).any(dim=0)
        # Counts are exact in the weights' own type: a small network has fewer than 2²⁴ weights.
        figures = [sound.to(weights.dtype)]
        for group, budget, view in zip(part.groups, keep, views, strict=True):
            masks = self.masks[part.rows, group.columns]
            cuts = cut_rows_(view, budget, masks, self.counts[part.rows, group.columns], sound)
            figures.append(_figures(cuts, group.sizes))
        return torch.cat(figures, dim=1).flatten()

    def _read(self, part: _Part, rule: Sparsifier, figures: list[float], place: int) -> tuple[Held, int]:
        kept = list(self._sizes)
        if not part.groups:
            return Held(True, kept, dict.fromkeys(rule.members(), 0.0), 0), place
        sound, changed, thresholds = bool(figures[place]), 0, {}
        place += 1
        for group in part.groups:
            moved, threshold, *numbers = figures[place : place + 2 + len(group.places)]
            changed += int(moved)
            thresholds[group.name] = threshold
            for layer, number in zip(group.places, numbers, strict=True):
                kept[layer] = int(number)
            place += 2 + len(group.places)
        return Held(sound, kept, thresholds, changed), place


def _part(rows: slice, rules: list[Sparsifier], columns: Sequence[slice], *, is_cut: bool) -> _Part:
    if not is_cut:
        return _Part(rows, rules, [], list(columns))
    groups = []
    for name, places in rules[0].members().items():
        together = slice(columns[places[0]].start, columns[places[-1]].stop)
        sizes = [columns[place].stop - columns[place].start for place in places]
        groups.append(_Group(name, places, together, sizes))
    cut = {place for group in groups for place in group.places}
    return _Part(rows, rules, groups, [column for place, column in enumerate(columns) if place not in cut])


def _budgets(part: _Part, device: torch.device) -> list[Tensor]:
    """Return the budget of each row in each group at the current step."""
    budgets = [rule.budgets() for rule in part.rules]
    return [torch.tensor([each[group.name] for each in budgets], device=device) for group in part.groups]


def _figures(cuts: "Cuts", sizes: list[int]) -> Tensor:
    """Return changed positions, threshold and kept weights per layer, one row per model."""
    columns = [cuts.changed[:, None], cuts.threshold[:, None], kept_of_parts(cuts.stay, sizes)]
    return torch.cat([column.to(cuts.threshold.dtype) for column in columns], dim=1)


# -- the rows of one group --------------------------------------------------------------------------------


class Cuts(NamedTuple):
    """The result of projecting N rows, on the device of the rows.

    stay: the support, bool (N, K). threshold: the s-th largest magnitude, infinite for a budget of 0, (N,).
    changed: the number of mask positions that differ from before, (N,).
    """

    stay: Tensor
    threshold: Tensor
    changed: Tensor


def cut_rows_(weights: Tensor, keep: Tensor, masks: Tensor, counts: Tensor, sound: Tensor) -> Cuts:
    """Keep the `keep[i]` largest magnitudes of row i, in place, ties by index, and set the rest to zero.

    weights: (N, K), possibly columns of a larger tensor. keep: (N,) on the device. masks: bool, counts:
    int32, both (N, K): the support is written over the masks and added to the counts. sound: bool (N, 1),
    False for rows that are left as they are, masks and counts too, since a NaN is in them.
    """
    magnitudes = magnitude_bits(weights)
    bits = nth_largest(magnitudes, keep)
    above, equal = magnitudes > bits, magnitudes == bits
    missing = keep[:, None] - above.sum(dim=1, keepdim=True)
    stay = above | (equal & (equal.cumsum(dim=1) <= missing))
    stay = torch.where(sound, stay, masks)
    changed = (stay ^ masks).sum(dim=1)
    masks.copy_(stay)
    counts.add_(stay & sound)
    weights.masked_fill_(~stay & sound, 0.0)
    threshold = bits.view(weights.dtype)[:, 0].masked_fill(keep == 0, math.inf)
    return Cuts(stay, threshold, changed)


def with_nan(weights: Tensor) -> Tensor:
    """Return the rows that hold a NaN, bool (N, 1)."""
    return magnitude_bits(weights).amax(dim=1, keepdim=True) > LAYOUTS[weights.dtype].infinity


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
