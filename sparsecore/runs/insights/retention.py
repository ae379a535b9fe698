"""How early the retention counts of a run predict its final mask, from the frames in its log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsecore.engine.training.frame_reading import Frame
from sparsecore.runs.store.store import Store

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
