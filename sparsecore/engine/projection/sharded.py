"""The same cut on all ranks of a process group, of weights that lie in parts on them.

What travels is one histogram a digit of the magnitudes and, when a tie must be broken, one number a rank.
"""

from __future__ import annotations

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

_FIRST_VALUES = first_digit(torch.float32).values  # of any dtype the first digit has as many


class Ranks:
    """The ranks of a group, and sums over them; device: where backends other than gloo reduce."""

    def __init__(self, group: dist.ProcessGroup, device: torch.device) -> None:
        self._group = group
        self._device = torch.device("cpu") if "gloo" in dist.get_backend(group) else device
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)

    def sum(self, numbers: np.ndarray) -> np.ndarray:
        """The sums over the ranks, the same on each."""
        shared = torch.tensor(numbers, device=self._device)
        dist.all_reduce(shared, group=self._group)
        return shared.cpu().numpy()

    def own(self, number: int) -> np.ndarray:
        """A place for each rank, this one's filled: their sum is the number of every rank."""
        numbers = np.zeros(self.size, np.int64)
        numbers[self.rank] = number
        return numbers


@dataclass(frozen=True)
class _FirstRound:
    """What each rank tells of its weights at once, and what the sum tells of all of them.

    keeps: what each rank was asked to keep. ranks_with: how many ranks have weights of each dtype.
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
    def of(cls, weights: Weights | None, keep: int, ranks: Ranks, refused: bool = False) -> _FirstRound:
        if weights is None:
            nothing = np.zeros(len(LAYOUTS), np.int64), ranks.own(keep), np.zeros(_FIRST_VALUES, np.int64)
            return cls(0, 0, 0, int(refused), *nothing)
        bins, top = weights.histogram(first_digit(weights.dtype))
        nan = int(top > LAYOUTS[weights.dtype].infinity)
        ranks_with = np.array([dtype == weights.dtype for dtype in LAYOUTS], np.int64)
        return cls(weights.total, weights.competing, nan, 0, ranks_with, ranks.own(keep), bins)

    def together(self, ranks: Ranks) -> _FirstRound:
        """The sum of what all ranks tell."""
        numbers = [self.total, self.competing, self.nans, self.refusals]
        shared = ranks.sum(np.concatenate([numbers, self.ranks_with, self.keeps, self.bins]))
        head, dtypes, keeps, bins = np.split(shared, np.cumsum([4, len(LAYOUTS), ranks.size]))
        return _FirstRound(*head.tolist(), dtypes, keeps, bins)

    def check(self, keep: int) -> None:
        """Refuse, on all ranks alike, what cannot be done together."""
        reserved = self.total - self.competing
        if self.refusals:
            raise ValueError("another rank refused what it was given; nothing was changed.")
        if (self.keeps != keep).any():
            raise ValueError(f"keep must be the same on all ranks; got {self.keeps.tolist()}.")
        if not 0 <= keep <= self.total:
            raise ValueError(f"keep must be from 0 to {self.total:,}, the number of weights; got {keep}.")
        if reserved > keep:
            raise ValueError(f"reserved holds {reserved:,} positions, more than keep, {keep:,}.")
        if np.count_nonzero(self.ranks_with) > 1:
            raise ValueError("the weights must be of one dtype on all ranks.")

    @property
    def dtype(self) -> torch.dtype:
        """That of all weights; of none at all, any."""
        return list(LAYOUTS)[int(np.argmax(self.ranks_with))]


def find_cut_together(weights: Weights | None, keep: int, ranks: Ranks) -> tuple[Cut, torch.dtype]:
    """This rank's cut, such that exactly `keep` weights survive over all ranks; and the dtype of them all.

    weights: None for a rank without tensors. Ties go to the lower rank, then to the lower position.

    Raises on every rank alike: `ValueError` for a `keep` outside 0..K, less than what is reserved or not the
    same on all ranks, and for different dtypes; `NotANumber`, with the tensor's place where the NaN is.
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
    """Up to which position of this rank equals stay: `nth` of `equal` over all ranks do, `own` are here."""
    total = 0 if weights is None else weights.total
    if nth == equal:
        return total
    before = int(ranks.sum(ranks.own(own))[: ranks.rank].sum())
    mine = min(max(nth - before, 0), own)
    if weights is None or mine == own:
        return total
    return weights.after_equal(bits, mine) if mine else 0


def refuse_together(keep: int, ranks: Ranks) -> None:
    """Tell the other ranks, which wait in the first round, that this one was given what is no weights."""
    _FirstRound.of(None, keep, ranks, refused=True).together(ranks)
