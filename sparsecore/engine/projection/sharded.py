"""Find one cut for weights that are sharded over the ranks of a process group.

Ranks exchange one histogram per digit of the magnitudes and, to break a tie, one number per rank.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist

from sparsecore.engine.projection.threshold import (
    LAYOUTS,
    Cut,
    NotANumber,
    Weights,
    first_digit,
    nth_from_top,
)

_FIRST_VALUES = first_digit(torch.float32).values  # the same number for every dtype


class Ranks:
    """The ranks of a group, and sums over them. device: where backends other than gloo reduce."""

    def __init__(self, group: dist.ProcessGroup, device: torch.device) -> None:
        self._group = group
        self._device = torch.device("cpu") if "gloo" in dist.get_backend(group) else device
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)

    def sum(self, numbers: np.ndarray) -> np.ndarray:
        """Sum over the ranks; every rank gets the result."""
        shared = torch.tensor(numbers, device=self._device)
        dist.all_reduce(shared, group=self._group)
        return shared.cpu().numpy()

    def own(self, number: int) -> np.ndarray:
        """Return zeros with this rank's entry set: their sum over the ranks holds every rank's number."""
        numbers = np.zeros(self.size, np.int64)
        numbers[self.rank] = number
        return numbers


@dataclass(frozen=True)
class _FirstRound:
    """The first message of each rank, and the sum of all.

    keeps: the `keep` that each rank was called with. ranks_with: ranks with weights of each dtype.
    bins: the histogram of the first digit.
    """

    total: int
    competing: int
    nans: int
    refusals: int
    ranks_with: np.ndarray
    keeps: np.ndarray
    bins: np.ndarray

    @classmethod
    def of(cls, weights: Weights | None, keep: int, ranks: Ranks, refused: bool = False) -> "_FirstRound":
        if weights is None:
            nothing = np.zeros(len(LAYOUTS), np.int64), ranks.own(keep), np.zeros(_FIRST_VALUES, np.int64)
            return cls(0, 0, 0, int(refused), *nothing)
        bins, top = weights.histogram(first_digit(weights.dtype))
        nan = int(top > LAYOUTS[weights.dtype].infinity)
        ranks_with = np.array([dtype == weights.dtype for dtype in LAYOUTS], np.int64)
        return cls(weights.total, weights.competing, nan, 0, ranks_with, ranks.own(keep), bins)

    def together(self, ranks: Ranks) -> "_FirstRound":
        """Sum the messages of all ranks."""
        numbers = [self.total, self.competing, self.nans, self.refusals]
        shared = ranks.sum(np.concatenate([numbers, self.ranks_with, self.keeps, self.bins]))
        head, dtypes, keeps, bins = np.split(shared, np.cumsum([4, len(LAYOUTS), ranks.size]))
        return _FirstRound(*head.tolist(), dtypes, keeps, bins)

    def check(self, keep: int) -> None:
        """Refuse invalid calls, with the same error on all ranks."""
        reserved = self.total - self.competing
        if self.refusals:
            raise ValueError("another rank rejected its input; nothing was changed.")
        if (self.keeps != keep).any():
            raise ValueError(f"keep must be the same on all ranks; got {self.keeps.tolist()}.")
        if not 0 <= keep <= self.total:
            raise ValueError(f"keep must be from 0 to {self.total:,}, the number of weights; got {keep}.")
        if reserved > keep:
            raise ValueError(f"reserved marks {reserved:,} positions, more than keep = {keep:,}.")
        if np.count_nonzero(self.ranks_with) > 1:
            raise ValueError("the weights must have the same dtype on all ranks.")

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of all weights; any if there are none."""
        return list(LAYOUTS)[int(np.argmax(self.ranks_with))]


def find_cut_together(weights: Weights | None, keep: int, ranks: Ranks) -> tuple[Cut, torch.dtype]:
    """Return this rank's cut, by which exactly `keep` weights survive over all ranks; and the dtype.

    weights: None for a rank without tensors. Ties go to the lower rank, then to the lower position.

    Raises the same on every rank: `ValueError` for a `keep` outside 0..K, below the reserved count or not
    equal on all ranks, and for mixed dtypes; `NotANumber`, with the index of the tensor on its rank.
    """
    mine = _FirstRound.of(weights, keep, ranks)
    all_of_us = mine.together(ranks)
    all_of_us.check(keep)
    if all_of_us.nans:
        raise NotANumber(weights.first_nan() if weights is not None and mine.nans else -1)
    dtype, nth = all_of_us.dtype, keep - (all_of_us.total - all_of_us.competing)
    if nth == 0:
        return Cut(LAYOUTS[dtype].infinity + 1, 0), dtype
    digit, own, bins = first_digit(dtype), mine.bins, all_of_us.bins
    while True:
        value, nth = nth_from_top(bins, nth)
        digit = digit.next(value)
        if digit.over == 0:
            break
        own = np.zeros(digit.values, np.int64) if weights is None else weights.histogram(digit)[0]
        bins = ranks.sum(own)
    until = _until(weights, digit.prefix, nth, int(bins[value]), int(own[value]), ranks)
    return Cut(digit.prefix, until), dtype


def _until(weights: Weights | None, bits: int, nth: int, equal: int, own: int, ranks: Ranks) -> int:
    """Return the position up to which ties survive here; `nth` survive over all ranks, `own` lie here."""
    total = 0 if weights is None else weights.total
    if nth == equal:
        return total
    before = int(ranks.sum(ranks.own(own))[: ranks.rank].sum())
    mine = min(max(nth - before, 0), own)
    if weights is None or mine == own:
        return total
    return weights.after_equal(bits, mine) if mine else 0


def refuse_together(keep: int, ranks: Ranks) -> None:
    """Release the other ranks from the first round: this rank was given invalid weights."""
    _FirstRound.of(None, keep, ranks, refused=True).together(ranks)
