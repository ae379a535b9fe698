"""Masks over time, from the frames in logs: the overlap of two runs, the forecast of the last mask."""

import math
import threading
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal, NamedTuple

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


class _FrameCounts(NamedTuple):
    """The counts of two frames, (layers, 4), and whether either run constrains the layer, (layers,)."""

    layers: tuple[str, ...]
    shared: np.ndarray
    constrained: np.ndarray


def count_overlap(first: np.ndarray, second: np.ndarray, weights: int) -> tuple[int, int, int, int]:
    """How many weights both masks keep, only the first, only the second, neither; masks as packed bits.

    >>> count_overlap(np.packbits([1, 1, 0, 0, 0]), np.packbits([0, 1, 1, 0, 0]), 5)
    (1, 1, 1, 2)
    """
    both = int(np.bitwise_count(first & second).sum())
    one, other = int(np.bitwise_count(first).sum()), int(np.bitwise_count(second).sum())
    return both, one - both, other - both, weights - one - other + both


def jaccard_index(counts: np.ndarray) -> np.ndarray:
    """|A∩B| / |A∪B| of counts (…, 4); 1 if no weight is kept."""
    either = counts[..., :3].sum(-1)
    return np.where(either, counts[..., 0] / np.maximum(either, 1), 1.0)


def expected_overlap(counts: np.ndarray) -> np.ndarray:
    """The expected number of common weights of random masks of the same sizes; counts: (…, 4)."""
    both, first, second, _ = np.moveaxis(counts, -1, 0)
    return (both + first) * (both + second) / counts.sum(-1)


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
        read = [lru_cache(1)(partial(_frame, store, run_id)) for run_id in (first, second)]
        for _, a, b in found:
            count = known.get((a, b)) or _count(read[0](a), read[1](b))
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


def _frame(store: Store, run_id: str, row_id: int) -> Frame | None:
    """The frame of a row; None if the log was thinned since its frames were listed."""
    row = store.frame(run_id, row_id)
    return row and Frame.read(row.payload)


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
        np.array([count_overlap(a.array("mask"), b.array("mask"), math.prod(a.shape)) for a, b in together]),
        np.array([_is_constrained(first, a) or _is_constrained(second, b) for a, b in together]),
    )


def _is_constrained(frame: Frame, matrix: Matrix) -> bool:
    return matrix.layer["prunable"] and methods()[frame.meta["method"]].constrained


def _over_time(steps: np.ndarray, frames: Sequence[_FrameCounts]) -> Overlap:
    """All curves; the overall ones are over the constrained layers, over all if none is constrained."""
    counts = np.array([each.shared for each in frames])
    chosen = np.array([each.constrained for each in frames])
    chosen |= ~chosen.any(axis=1, keepdims=True)
    together, expected = (counts * chosen[..., None]).sum(1), (expected_overlap(counts) * chosen).sum(1)
    kept = together[:, :3].sum(-1) + together[:, 0]  # by the first and by the second
    by_chance = expected / np.where(kept, kept - expected, 1)
    overall = jaccard_index(together)
    return Overlap(frames[0].layers, steps, jaccard_index(counts), overall, np.where(kept, by_chance, 1.0))


MAX_FRAMES = 80  # per run; a curve of more points looks the same


@dataclass(frozen=True)
class RetentionForecast:
    """The share of the finally kept weights that is predicted at each step, of shape (frames,).

    by_counts: by the s largest retention counts. by_mask: by the mask of the step. by_chance: by s random
    positions. last: the last step of the run so far.
    """

    steps: np.ndarray
    by_counts: np.ndarray
    by_mask: np.ndarray
    by_chance: float
    last: int

    def at(self, share: float) -> tuple[int, float, float]:
        """The frame nearest to this share of the run: its step, and the shares by counts and by mask."""
        place = int(np.abs(self.steps - share * self.last).argmin())
        return int(self.steps[place]), float(self.by_counts[place]), float(self.by_mask[place])


def forecast(store: Store, run_id: str) -> RetentionForecast | None:
    """The forecast over the constrained layers; None before two frames, or if frames hold means of blocks.

    Ties of counts at the threshold are broken by index.
    """
    rows = store.frames(run_id)
    if len(rows) < 2:
        return None
    chosen = sorted({*np.linspace(0, len(rows) - 1, min(len(rows), MAX_FRAMES)).astype(int).tolist()})
    read = [_layers(store.frame(run_id, rows[place][0]).payload) for place in chosen]
    if any(layers is None for layers in read):
        return None
    final = [mask for _, mask in read[-1]]
    kept = max(1, sum(int(mask.sum()) for mask in final))
    chance = sum(float(mask.sum()) ** 2 / mask.size for mask in final) / kept
    steps = np.array([rows[place][1] for place in chosen])
    counts = [sum(_shared(count, mask) for (count, _), mask in zip(ls, final, strict=True)) for ls in read]
    masks = [sum(int((m & mask).sum()) for (_, m), mask in zip(ls, final, strict=True)) for ls in read]
    return RetentionForecast(steps, np.array(counts) / kept, np.array(masks) / kept, chance, int(steps[-1]))


def _layers(payload: bytes) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """The flat counts and mask of each constrained layer; None if the frame holds means of blocks."""
    matrices = Frame.read(payload).matrices
    if not all(matrix.exact for matrix in matrices):
        return None
    bound = [matrix for matrix in matrices if matrix.layer["prunable"]]
    return [(matrix.array("count").ravel().astype(np.int64), matrix.mask.ravel()) for matrix in bound]


def _shared(count: np.ndarray, mask: np.ndarray) -> int:
    """How many of the s kept weights are among the s largest counts.

    >>> _shared(np.array([5, 1, 9, 0]), np.array([True, True, False, False]))
    1
    """
    largest = np.argsort(-count, kind="stable")[: int(mask.sum())]
    return int(mask[largest].sum())
