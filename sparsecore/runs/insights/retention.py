"""How early a run's retention counts tell its final mask, measured from the frames that its log keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsecore.engine.training.frame_reading import Frame
from sparsecore.runs.store.store import Store

MOST_FRAMES = 80  # of a run: a curve of more points looks the same


@dataclass(frozen=True)
class Foretold:
    """Of the weights kept at the end, the share already foretold at each step; of shape (frames,).

    by_counts: those among the s of largest retention count. by_mask: those kept at the step. by_chance: what
    s places drawn at random would share. last: the last step of the run so far.
    """

    steps: np.ndarray
    by_counts: np.ndarray
    by_mask: np.ndarray
    by_chance: float
    last: int

    def at(self, share: float) -> tuple[int, float, float]:
        """The frame nearest to this share of the run: its step, and what counts and mask foretell there."""
        place = int(np.abs(self.steps - share * self.last).argmin())
        return int(self.steps[place]), float(self.by_counts[place]), float(self.by_mask[place])


def foretold(store: Store, run_id: str) -> Foretold | None:
    """Over the layers under a budget; None before two frames, or where they are no exact pictures.

    Counts that are equal at the edge are settled by index.
    """
    rows = store.frames(run_id)
    if len(rows) < 2:
        return None
    chosen = sorted({*np.linspace(0, len(rows) - 1, min(len(rows), MOST_FRAMES)).astype(int).tolist()})
    read = [_layers(store.frame(run_id, rows[place][0]).payload) for place in chosen]
    if any(layers is None for layers in read):
        return None
    final = [mask for _, mask in read[-1]]
    kept = max(1, sum(int(mask.sum()) for mask in final))
    chance = sum(float(mask.sum()) ** 2 / mask.size for mask in final) / kept
    steps = np.array([rows[place][1] for place in chosen])
    counts = [sum(_shared(count, mask) for (count, _), mask in zip(ls, final, strict=True)) for ls in read]
    masks = [sum(int((m & mask).sum()) for (_, m), mask in zip(ls, final, strict=True)) for ls in read]
    return Foretold(steps, np.array(counts) / kept, np.array(masks) / kept, chance, int(steps[-1]))


def _layers(payload: bytes) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Counts and mask, flat, of each layer under a budget; None where the frame draws blocks of weights."""
    matrices = Frame.read(payload).matrices
    if not all(matrix.exact for matrix in matrices):
        return None
    bound = [matrix for matrix in matrices if matrix.layer["prunable"]]
    return [(matrix.array("count").ravel().astype(np.int64), matrix.mask.ravel()) for matrix in bound]


def _shared(count: np.ndarray, mask: np.ndarray) -> int:
    """How many of the kept are among as many places of largest count.

    >>> _shared(np.array([5, 1, 9, 0]), np.array([True, True, False, False]))
    1
    """
    largest = np.argsort(-count, kind="stable")[: int(mask.sum())]
    return int(mask[largest].sum())
