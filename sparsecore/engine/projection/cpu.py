"""Search and project weights in main memory by compiled passes."""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sparsecore.engine.compiled import compiled
from sparsecore.engine.projection import cpu_blocks, cpu_kernels
from sparsecore.engine.projection.threshold import (
    LAYOUTS,
    Cut,
    Digit,
    NotANumber,
    Survey,
    check_budget,
    first_digit,
    magnitude_bits,
    reach,
    refuse_nan,
)

_LIKE = {
    size: np.empty(0, f"int{8 * size}") for size in (2, 4, 8)
}  # the integer type by which a pass reads a weight
PART = 2**22  # weights that one thread reads at a time: a few milliseconds
EAGER = -1  # pending steps: none is, and this step is counted at once
_MOST_PARTS = 512  # larger weights have larger parts, so that the notes per part stay small
_DRAWN = 4096  # sample size; no more weights than this are all read
_ROOM = 16  # at most one weight in 16 is collected


class Kernels(NamedTuple):
    """The passes of `cpu_kernels` for one element size."""

    survey: Callable[..., None]
    histogram: Callable[..., None]
    nth_equal: Callable[..., int]
    sample: Callable[..., int]
    apply: Callable[..., None]
    nth_largest: Callable[..., int]
    find: Callable[..., int]
    project_groups: Callable[..., int]


@functools.cache
def kernels(size: int) -> Kernels:
    """Return the passes for weights of `size` bytes; each size has its own folder in the cache."""
    return Kernels(*compiled(cpu_kernels, Kernels._fields, str(8 * size), cpu_blocks))


class HostWeights:
    """Contiguous tensors in main memory, with their masks, counts and reserved positions.

    tensors: of one dtype. masks, counts, reserved: None, or one for each tensor, contiguous and of its shape.
    Large weights are read by `torch.get_num_threads()` threads, in parts; the result does not depend on them.
    """

    def __init__(
        self,
        tensors: Sequence[Tensor],
        masks: Sequence[Tensor] | None,
        counts: Sequence[Tensor] | None,
        reserved: Sequence[Tensor] | None,
    ) -> None:
        self._held = (tensors, masks, counts, reserved)  # the table holds only addresses
        self.dtype = tensors[0].dtype
        row: list[int] = []
        start = 0
        for place, tensor in enumerate(tensors):
            row.append(tensor.data_ptr())
            for given in (masks, counts, reserved):
                row.append(0 if given is None else given[place].data_ptr())  # noqa: PERF401 - the fastest
            row += (start, size := tensor.numel())
            start += size
        self.total = start
        self.competing = start - sum(int(each.count_nonzero()) for each in reserved or ())
        self.table = np.array(row, dtype=np.int64).reshape(len(tensors), -1)
        self.like = _LIKE[self.dtype.itemsize]
        self.kernels = kernels(self.dtype.itemsize)
        part = max(PART, -(-start // _MOST_PARTS))
        self._parts = [(begin, min(begin + part, start)) for begin in range(0, start, part)]

    def _each(self, work: Callable[[int, int], Any]) -> list[Any]:
        threads = min(torch.get_num_threads(), len(self._parts))
        if threads <= 1:
            return [work(begin, end) for begin, end in self._parts]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda part: work(*part), self._parts))

    def find_at_once(self, keep: int, low: int, high: int) -> Cut:
        """Find the cut by one compiled search."""
        part, infinity = keep / self.competing, LAYOUTS[self.dtype].infinity
        drawn = _DRAWN if self.competing > _DRAWN else 0
        bits, until, top = self.kernels.find(self.table, keep, part, low, high, infinity, drawn, self.like)
        refuse_nan(self, top)
        return Cut(bits, until)

    def nth_largest(self, values: np.ndarray, nth: int, low: int, high: int) -> int:
        return self.kernels.nth_largest(values, nth, low, high)

    def survey(self, low: int, high: int) -> Survey:
        def look(begin: int, end: int) -> tuple[list[int], np.ndarray, np.ndarray]:
            room = 0 if low == high else (end - begin) // _ROOM + 2 * cpu_blocks.BLOCK
            values, places = np.empty(room, self.like.dtype), np.empty(room, np.int32)
            out = np.empty(4, np.int64)
            self.kernels.survey(self.table, begin, end, low, high, values, places, out)
            figures = out.tolist()
            found = max(figures[cpu_kernels.FOUND], 0)
            return figures, values[:found], places[:found]

        seen = self._each(look)
        if len(seen) == 1 and low < high:
            (above, inside, found, top), values, places = seen[0]
            return Survey(above, [inside], top, *((values, places) if found >= 0 else (None, None)))
        above, inside, found, top = zip(*(each[0] for each in seen), strict=True) if seen else ((),) * 4
        counted = sum(above), list(inside), max(top, default=0)
        if low == high or min(found) < 0:
            return Survey(*counted, None, None)
        places = [part[2] + np.int64(begin) for part, (begin, _) in zip(seen, self._parts, strict=True)]
        return Survey(*counted, np.concatenate([part[1] for part in seen]), np.concatenate(places))

    def sample(self, count: int) -> np.ndarray:
        values = np.empty(min(count, self.total), self.like.dtype)
        values = values[: self.kernels.sample(self.table, values.size, values)]
        values.sort()
        return values

    def histogram(self, digit: Digit) -> tuple[np.ndarray, int]:
        def count(begin: int, end: int) -> tuple[np.ndarray, int]:
            bins = np.zeros((digit.values, cpu_kernels.LANES), np.int32)
            top = self.kernels.histogram(self.table, begin, end, *digit, bins, self.like)
            return bins.sum(axis=1, dtype=np.int64), top

        counted = self._each(count)
        bins = np.zeros(digit.values, np.int64)
        for each, _ in counted:
            bins += each
        return bins, max((top for _, top in counted), default=0)

    def after_equal(self, bits: int, nth: int, inside: list[int] | None = None) -> int:
        if inside is None:
            inside = self.survey(bits, bits).inside
        for (begin, end), equal in zip(self._parts, inside, strict=True):
            if nth <= equal:
                return self.kernels.nth_equal(self.table, begin, end, bits, nth, self.like)
            nth -= equal
        raise ValueError(f"fewer weights than expected equal {bits:#x}.")

    def first_nan(self) -> int:
        infinity, out = LAYOUTS[self.dtype].infinity, np.empty(4, np.int64)
        unused = np.empty(0, np.int32)
        for place, (*_, begin, size) in enumerate(self.table.tolist()):
            self.kernels.survey(self.table, begin, begin + size, infinity, infinity, self.like, unused, out)
            if out[cpu_kernels.TOP] > infinity:
                return place
        raise ValueError("no tensor contains a NaN.")

    def apply(self, cut: Cut) -> tuple[tuple[int, ...], int]:
        """Zero the weights below the cut, write masks and counts; returns kept per tensor, changed bits."""

        def cut_part(begin: int, end: int) -> np.ndarray:
            kept = np.zeros(len(self.table) + 1, np.int64)
            self.kernels.apply(self.table, begin, end, *cut, EAGER, kept, self.like)
            return kept

        done = self._each(cut_part) or [np.zeros(len(self.table) + 1, np.int64)]
        *kept, changed = (done[0] if len(done) == 1 else np.sum(done, axis=0)).tolist()
        return tuple(kept), changed


class HostGroups:
    """Groups of weights in main memory, small enough for one compiled call to project them all.

    groups: of one dtype, without reserved positions.
    """

    def __init__(self, groups: Sequence[HostWeights]) -> None:
        self.groups = groups
        self.dtype = groups[0].dtype
        self._table = np.concatenate([group.table for group in groups])
        self._rows = np.cumsum([0, *(len(group.table) for group in groups)])
        self._budgets, self._keep = np.empty(len(groups), np.int64), ()
        self._constants = reach(self.dtype), LAYOUTS[self.dtype].infinity, _DRAWN
        self._bits = np.full(len(groups), -1)  # of the last cuts
        self._kept = np.empty(len(self._table) + len(groups), np.int64)

    def project(self, keep: Sequence[int], pending: int) -> list[tuple[int, tuple[int, ...], int]]:
        """Project each group to its budget; returns the bits of its cut, kept per tensor, changed bits.

        pending: the steps that are still to be added to the counts of the kept weights; this is one more.
        Raises, before anything is changed, `ValueError` for a budget that does not fit, and `NotANumber` with
        the position among the tensors of all groups.
        """
        if keep != self._keep:  # rarely: Python is a large part of a small network's step
            for group, budget in zip(self.groups, keep, strict=True):
                check_budget(budget, group.total)
            self._budgets[:], self._keep = keep, list(keep)
        tables, first = (self._table, self._rows, self._budgets), self.groups[0]
        project, written = first.kernels.project_groups, (self._bits, self._kept)
        failed = project(*tables, *self._constants, pending, *written, first.like)
        if failed >= 0:
            raise NotANumber(int(self._rows[failed]) + self.groups[failed].first_nan())
        kept = iter(self._kept.tolist())
        return [
            (bits, tuple(islice(kept, len(group.table))), next(kept))
            for bits, group in zip(self._bits.tolist(), self.groups, strict=True)
        ]


def prepare(dtype: torch.dtype = torch.float32) -> Kernels:
    """Compile every pass for a dtype, or read it from the cache, so that no step of training has to wait.

    Those of a step come first. On a new machine all take many seconds.
    """
    weights = torch.linspace(-1.0, 1.0, 2 * cpu_blocks.BLOCK).to(dtype)
    mask, counts = torch.ones(len(weights), dtype=torch.bool), torch.zeros(len(weights), dtype=torch.int32)
    held = HostWeights([weights], [mask], [counts], None)
    HostGroups([held]).project([len(weights) // 2], 0)
    held.apply(held.find_at_once(len(weights) // 2, 1, 0))
    top = int(magnitude_bits(weights).max())
    held.nth_largest(held.sample(_ROOM), 1, 0, top)
    held.histogram(first_digit(dtype))
    held.after_equal(top, 1)
    return held.kernels
