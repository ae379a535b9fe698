"""Project stacked models: each row by its own method and budget, all rows in a few passes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from sparsecore.engine.batch.projection import Cuts, cut_rows_, kept_of_parts, to_magnitudes, with_nan
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
        broken = [with_nan(to_magnitudes(view), view.dtype) for view in views]
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


def _figures(cuts: Cuts, sizes: list[int]) -> Tensor:
    """Return changed positions, threshold and kept weights per layer, one row per model."""
    columns = [cuts.changed[:, None], cuts.threshold[:, None], kept_of_parts(cuts.stay, sizes)]
    return torch.cat([column.to(cuts.threshold.dtype) for column in columns], dim=1)
