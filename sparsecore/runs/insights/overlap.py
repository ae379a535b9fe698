"""Overlap of the masks of two runs over time, from the frames in their logs."""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from sparsecore.engine.cards import methods
from sparsecore.engine.training.frame_reading import Frame, Matrix
from sparsecore.runs.store.store import Store

POINTS = 128  # of a curve; more are not visible
CACHED_PAIRS = 64  # pairs of runs with cached counts, some kilobytes each
_counting = threading.Lock()  # thirty viewers of one pair must not count it thirty times
Frames = Sequence[tuple[int, int]]  # (row id, step) of each kept frame, oldest first


class IncomparableMasks(ValueError):
    """The masks of two runs cannot be compared.

    why: "shapes", their matrices differ; "blocks", their frames hold means of blocks instead of weights;
    "frames", one of them has no frame yet.
    """

    def __init__(self, why: Literal["shapes", "blocks", "frames"]) -> None:
        super().__init__(f"the masks of these runs cannot be compared: {why}.")
        self.why = why


@dataclass(frozen=True)
class MaskCounts:
    """How many weights of a matrix are kept by both masks, only the first, only the second, neither."""

    both: int
    first: int
    second: int
    neither: int

    @property
    def jaccard(self) -> float:
        """|A∩B| / |A∪B|; 1 if no weight is kept."""
        either = self.both + self.first + self.second
        return self.both / either if either else 1.0

    @property
    def expected(self) -> float:
        """The expected number of common weights of two random masks of the same sizes."""
        kept = (self.both + self.first) * (self.both + self.second)
        return kept / (self.both + self.first + self.second + self.neither)


@dataclass(frozen=True)
class Overlap:
    """The Jaccard index of the masks of two runs over time.

    steps: (n, 3), the step of the curve and the steps of the two frames, the last ones at or before it.
    jaccard: (n, layers). overall, by_chance: (n,), over the layers that either run constrains; by_chance is
    the index of random masks with the same number of weights per layer.
    """

    layers: tuple[str, ...]
    steps: np.ndarray
    jaccard: np.ndarray
    overall: np.ndarray
    by_chance: np.ndarray


@dataclass(frozen=True)
class _FrameCounts:
    """The counts of two frames per layer, and whether either run constrains the layer."""

    layers: tuple[str, ...]
    shared: tuple[MaskCounts, ...]
    constrained: tuple[bool, ...]


def count_overlap(first: np.ndarray, second: np.ndarray, weights: int) -> MaskCounts:
    """Compare two masks of this many weights, as packed bits.

    >>> count_overlap(np.packbits([1, 1, 0, 0, 0]), np.packbits([0, 1, 1, 0, 0]), 5)
    MaskCounts(both=1, first=1, second=1, neither=2)
    """
    both = int(np.bitwise_count(first & second).sum())
    one, other = int(np.bitwise_count(first).sum()), int(np.bitwise_count(second).sum())
    return MaskCounts(both, one - both, other - both, weights - one - other + both)


def overlap(store: Store, first: str, second: str) -> Overlap:
    """The overlap of two runs of the store, up to the step that both have reached.

    A finished run keeps its last mask. Raises `IncomparableMasks`.
    """
    frames = store.frames(first), store.frames(second)
    if not all(frames):
        raise IncomparableMasks("frames")
    found = frame_pairs(*frames, until=_common_end(store, (first, second), frames))
    with _counting:
        known = _cached_counts(store, first, second)
        fresh: dict[tuple[int, int], _FrameCounts] = {}
        read = _FrameReader(store, first), _FrameReader(store, second)
        for _, a, b in found:
            count = known.get((a, b)) or _count(read[0].of(a), read[1].of(b))
            if count is not None:
                fresh[a, b] = count
        known.clear()
        known.update(fresh)
    if not fresh:
        raise IncomparableMasks("frames")
    at = [dict(rows) for rows in frames]
    steps = [(step, at[0][a], at[1][b]) for step, a, b in found if (a, b) in fresh]
    return _over_time(np.array(steps), list(fresh.values()))


def _common_end(store: Store, runs: Sequence[str], frames: Sequence[Frames]) -> int:
    """The last step of the curve: the smallest step of a running run, else the larger end."""
    last = {run_id: rows[-1][1] for run_id, rows in zip(runs, frames, strict=True)}
    training = [step for run_id, step in last.items() if (run := store.get(run_id)) and run.active]
    return min(training, default=max(last.values()))


def frame_pairs(first: Frames, second: Frames, until: int) -> list[tuple[int, int, int]]:
    """Even steps of a curve, about `POINTS` at most, each with the row ids of the two frames.

    The curve starts where both runs have a frame. While the runs train, the steps stay the same until there
    are twice as many, so that earlier counts are reused. Steps without a new frame of either run are left
    out.

    >>> frame_pairs([(1, 0), (3, 20), (5, 40)], [(2, 0), (4, 30)], until=40)
    [(0, 1, 2), (20, 3, 2), (30, 3, 4), (40, 5, 4)]
    """
    begin, every = max(first[0][1], second[0][1]), 1
    while until > POINTS * every:
        every *= 2
    steps = [[step for _, step in frames] for frames in (first, second)]
    found: dict[tuple[int, int], int] = {}
    for step in [begin, *range(every * (begin // every + 1), until, every), max(begin, until)]:
        a = first[bisect_right(steps[0], step) - 1][0]
        b = second[bisect_right(steps[1], step) - 1][0]
        found.setdefault((a, b), step)
    return [(step, a, b) for (a, b), step in found.items()]


class _FrameReader:
    """Reads the frames of one run and caches the last one."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store, self.run_id = store, run_id
        self.last: tuple[int, Frame | None] = (0, None)

    def of(self, row_id: int) -> Frame | None:
        """The frame of a row; None if the log was thinned since its frames were listed."""
        if self.last[0] != row_id:
            row = self.store.frame(self.run_id, row_id)
            self.last = row_id, row and Frame.read(row.payload)
        return self.last[1]


@lru_cache(CACHED_PAIRS)
def _cached_counts(store: Store, first: str, second: str) -> dict[tuple[int, int], _FrameCounts]:
    """The counts of these runs by the row ids of the frames; `overlap` fills it."""
    return {}


def _count(first: Frame | None, second: Frame | None) -> _FrameCounts | None:
    if first is None or second is None:
        return None
    both = first.matrices, second.matrices
    names, other_names = ([(each.layer["name"], each.shape) for each in matrices] for matrices in both)
    if names != other_names:
        raise IncomparableMasks("shapes")
    if not all(matrix.exact for matrices in both for matrix in matrices):
        raise IncomparableMasks("blocks")
    together = list(zip(*both, strict=True))
    return _FrameCounts(
        tuple(name for name, _ in names),
        tuple(count_overlap(a.array("mask"), b.array("mask"), math.prod(a.shape)) for a, b in together),
        tuple(_is_constrained(first, a) or _is_constrained(second, b) for a, b in together),
    )


def _is_constrained(frame: Frame, matrix: Matrix) -> bool:
    return matrix.layer["prunable"] and methods()[frame.meta["method"]].constrained


def _over_time(steps: np.ndarray, counts: Sequence[_FrameCounts]) -> Overlap:
    overall = np.array([_overall(count) for count in counts])
    jaccard = np.array([[each.jaccard for each in count.shared] for count in counts])
    return Overlap(counts[0].layers, steps, jaccard, overall[:, 0], overall[:, 1])


def _overall(count: _FrameCounts) -> tuple[float, float]:
    """The Jaccard index over the constrained layers (all if none is constrained), and that of chance."""
    layers = list(zip(count.shared, count.constrained, strict=True))
    chosen = [each for each, held in layers if held] or list(count.shared)
    together = MaskCounts(
        *(sum(getattr(each, name) for each in chosen) for name in MaskCounts.__annotations__)
    )
    kept, expected = 2 * together.both + together.first + together.second, sum(e.expected for e in chosen)
    return together.jaccard, expected / (kept - expected) if kept else 1.0
