"""How much the masks of two runs share over time, counted from the frames that their logs keep."""

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
PAIRS_KEPT = 64  # pairs of runs whose counts are kept, some kilobytes each
_one_at_a_time = threading.Lock()  # thirty viewers of one pair must not count it thirty times
Frames = Sequence[tuple[int, int]]  # (row id, step) of each kept frame, oldest first


class Unlike(ValueError):
    """Two runs whose masks cannot be laid on each other.

    why: "shapes", their matrices differ; "blocks", their frames keep means of blocks, not weights; "frames",
    one of them has none yet.
    """

    def __init__(self, why: Literal["shapes", "blocks", "frames"]) -> None:
        super().__init__(f"the masks of these runs cannot be compared: {why}.")
        self.why = why


@dataclass(frozen=True)
class Shared:
    """How many weights of a matrix two masks keep: both, only the first, only the second, neither."""

    both: int
    first: int
    second: int
    neither: int

    @property
    def jaccard(self) -> float:
        """|A∩B| / |A∪B|; 1 where no weight is kept."""
        either = self.both + self.first + self.second
        return self.both / either if either else 1.0

    @property
    def expected(self) -> float:
        """How many both would keep if each had drawn its own at random."""
        kept = (self.both + self.first) * (self.both + self.second)
        return kept / (self.both + self.first + self.second + self.neither)


@dataclass(frozen=True)
class Overlap:
    """Jaccard of the masks of two runs over time.

    steps: (n, 3), the step asked for, and the steps of the first and of the second run's frame: the last ones
    kept at or before it. jaccard: (n, layers). overall and by_chance: (n,), over the layers that either run
    constrains; by_chance is what masks drawn at random with as many weights a layer come to.
    """

    layers: tuple[str, ...]
    steps: np.ndarray
    jaccard: np.ndarray
    overall: np.ndarray
    by_chance: np.ndarray


@dataclass(frozen=True)
class _Counts:
    """Of two frames, a layer each: what they share, and whether either run constrains it."""

    layers: tuple[str, ...]
    shared: tuple[Shared, ...]
    constrained: tuple[bool, ...]


def shared(first: np.ndarray, second: np.ndarray, weights: int) -> Shared:
    """Two masks of so many weights, as packed bits, laid on each other.

    >>> shared(np.packbits([1, 1, 0, 0, 0]), np.packbits([0, 1, 1, 0, 0]), 5)
    Shared(both=1, first=1, second=1, neither=2)
    """
    both = int(np.bitwise_count(first & second).sum())
    one, other = int(np.bitwise_count(first).sum()), int(np.bitwise_count(second).sum())
    return Shared(both, one - both, other - both, weights - one - other + both)


def overlap(store: Store, first: str, second: str) -> Overlap:
    """Of two runs of the store, as far as both have trained; one that has ended stays at its end.

    Raises `Unlike`.
    """
    frames = store.frames(first), store.frames(second)
    if not all(frames):
        raise Unlike("frames")
    found = pairs(*frames, until=_reached(store, (first, second), frames))
    with _one_at_a_time:
        known = _counted(store, first, second)
        fresh: dict[tuple[int, int], _Counts] = {}
        read = _FrameReader(store, first), _FrameReader(store, second)
        for _, a, b in found:
            count = known.get((a, b)) or _count(read[0].of(a), read[1].of(b))
            if count is not None:
                fresh[a, b] = count
        known.clear()
        known.update(fresh)
    if not fresh:
        raise Unlike("frames")
    at = [dict(rows) for rows in frames]
    steps = [(step, at[0][a], at[1][b]) for step, a, b in found if (a, b) in fresh]
    return _over_time(np.array(steps), list(fresh.values()))


def _reached(store: Store, runs: Sequence[str], frames: Sequence[Frames]) -> int:
    """The last step that both have come to: a run that trains may be far behind one that has ended."""
    last = {run_id: rows[-1][1] for run_id, rows in zip(runs, frames, strict=True)}
    training = [step for run_id, step in last.items() if (run := store.get(run_id)) and run.active]
    return min(training, default=max(last.values()))


def pairs(first: Frames, second: Frames, until: int) -> list[tuple[int, int, int]]:
    """The steps of a curve, evenly and at most about `POINTS`, each with the ids of the two frames.

    It begins where both have a frame. The steps stay where they are while the runs go on, until there are
    twice as many: what was counted once need not be counted again. A step at which neither has another frame
    is left out.

    >>> pairs([(1, 0), (3, 20), (5, 40)], [(2, 0), (4, 30)], until=40)
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
    """The frames of one run, of which the last one read is often needed again."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store, self.run_id = store, run_id
        self.last: tuple[int, Frame | None] = (0, None)

    def of(self, row_id: int) -> Frame | None:
        """None where the log was thinned since its frames were listed."""
        if self.last[0] != row_id:
            row = self.store.frame(self.run_id, row_id)
            self.last = row_id, row and Frame.read(row.payload)
        return self.last[1]


@lru_cache(PAIRS_KEPT)
def _counted(store: Store, first: str, second: str) -> dict[tuple[int, int], _Counts]:
    """What was counted of these runs, by the ids of the frames; `overlap` fills it."""
    return {}


def _count(first: Frame | None, second: Frame | None) -> _Counts | None:
    if first is None or second is None:
        return None
    both = first.matrices, second.matrices
    names, other_names = ([(each.layer["name"], each.shape) for each in matrices] for matrices in both)
    if names != other_names:
        raise Unlike("shapes")
    if not all(matrix.exact for matrices in both for matrix in matrices):
        raise Unlike("blocks")
    together = list(zip(*both, strict=True))
    return _Counts(
        tuple(name for name, _ in names),
        tuple(shared(a.array("mask"), b.array("mask"), math.prod(a.shape)) for a, b in together),
        tuple(_is_constrained(first, a) or _is_constrained(second, b) for a, b in together),
    )


def _is_constrained(frame: Frame, matrix: Matrix) -> bool:
    return matrix.layer["prunable"] and methods()[frame.meta["method"]].constrained


def _over_time(steps: np.ndarray, counts: Sequence[_Counts]) -> Overlap:
    overall = np.array([_overall(count) for count in counts])
    jaccard = np.array([[each.jaccard for each in count.shared] for count in counts])
    return Overlap(counts[0].layers, steps, jaccard, overall[:, 0], overall[:, 1])


def _overall(count: _Counts) -> tuple[float, float]:
    """Jaccard over the constrained layers, over all where none is, and what chance comes to."""
    layers = list(zip(count.shared, count.constrained, strict=True))
    chosen = [each for each, held in layers if held] or list(count.shared)
    together = Shared(*(sum(getattr(each, name) for each in chosen) for name in Shared.__annotations__))
    kept, expected = 2 * together.both + together.first + together.second, sum(e.expected for e in chosen)
    return together.jaccard, expected / (kept - expected) if kept else 1.0
