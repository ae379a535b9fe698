"""Table 3-5 on this machine: the time to find the largest of 1.8 million weights in several ways.

The thesis sorts with a heap: all weights at once for the global method, one block at a time for the layerwise
one. The alternatives are selection from a heap, `torch.topk` with a mask, and the projection of this package.
"""

from __future__ import annotations

import heapq
import statistics
import time
from collections.abc import Callable
from math import log2
from typing import Any

import torch
from torch import Tensor

from sparsecore.engine.projection.project import project_
from sparsecore.paper.thesis import PAPER_BLOCKS, PAPER_WEIGHTS, SORTING, tables

DENSITY = 0.1  # of the thesis's Figure 3-14; a full sort does not depend on it
LARGE = 7e9  # weights; the thesis extrapolates to a model of this size
LARGE_BLOCKS = 32  # of LLaMA 2 7B, sorted in parallel
MEASURED_ELSEWHERE = "python -m sparsecore bench projection --weights 7e9 --dtype bfloat16"
THESIS_WAY, OURS = "heap sort", "ours"
DAY, HOUR = 86_400, 3_600


def sorting(weights: int = PAPER_WEIGHTS, rounds: int = 5) -> dict[str, Any]:
    """Measure the seconds of each way for `weights` at once and for a quarter of them, on one thread.

    Returns data for JSON: `rows`, one per way with the median `global` and `layerwise` seconds and their
    ratios to the projection; the seconds of the `paper`; and an `extrapolation` to 7 billion weights, which
    grows as n·log n for a sort and as n for the projection.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole, block = _measured(weights, rounds), _measured(weights // PAPER_BLOCKS, rounds)
    finally:
        torch.set_num_threads(before)
    rows = [
        {
            "way": way,
            "global": whole[way],
            "layerwise": block[way],
            "global_over_ours": whole[way] / whole[OURS],
            "layerwise_over_ours": block[way] / block[OURS],
        }
        for way in whole
    ]
    paper = {name: tables()[SORTING][name] for name in ("global", "layerwise", "extrapolated_7B")}
    return {
        "weights": weights,
        "blocks": PAPER_BLOCKS,
        "density": DENSITY,
        "paper": paper,
        "rows": rows,
        "extrapolation": _extrapolation(weights, whole, block),
        "measured_by": MEASURED_ELSEWHERE,
    }


def _measured(size: int, rounds: int) -> dict[str, float]:
    """Return the median seconds of each way on the same weights, alternating; a heap sort runs once."""
    start = torch.randn(size, generator=torch.Generator().manual_seed(size))
    keep = max(1, round(DENSITY * size))
    work, mask = start.clone(), torch.ones(size, dtype=torch.bool)
    project_([work], keep, masks=[mask])  # compile before the measurement
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(rounds):
        for way, run in WAYS.items():
            if turn and way in SLOW:
                continue
            work.copy_(start)
            mask.fill_(True)
            begun = time.perf_counter()
            run(work, keep, mask)
            seconds[way].append(time.perf_counter() - begun)
    return {way: statistics.median(times) for way, times in seconds.items()}


def _heap_sort(weights: Tensor, keep: int, mask: Tensor) -> None:
    """Sort all magnitudes with a heap, as the thesis describes, then apply the mask."""
    heap = weights.abs().neg_().tolist()
    heapq.heapify(heap)
    ordered = [heapq.heappop(heap) for _ in range(len(heap))]
    _mask(weights, -ordered[keep - 1], mask)


def _heap_selection(weights: Tensor, keep: int, mask: Tensor) -> None:
    _mask(weights, heapq.nlargest(keep, weights.abs().tolist())[-1], mask)


def _topk(weights: Tensor, keep: int, mask: Tensor) -> None:
    _mask(weights, float(torch.topk(weights.abs(), keep, sorted=False).values.min()), mask)


def _mask(weights: Tensor, threshold: float, mask: Tensor) -> None:
    torch.ge(weights.abs(), threshold, out=mask)
    weights.mul_(mask)


def _ours(weights: Tensor, keep: int, mask: Tensor) -> None:
    project_([weights], keep, masks=[mask])


WAYS: dict[str, Callable[[Tensor, int, Tensor], None]] = {
    THESIS_WAY: _heap_sort,
    "heap selection": _heap_selection,
    "topk and mask": _topk,
    OURS: _ours,
}
SLOW = (THESIS_WAY, "heap selection")


def _extrapolation(weights: int, whole: dict[str, float], block: dict[str, float]) -> dict[str, float]:
    """Extrapolate to 7 billion weights: days and hours as in the thesis, and the projection's seconds."""

    def sort_grows(many: float, few: float) -> float:
        return many * log2(many) / (few * log2(few))

    in_a_block = LARGE / LARGE_BLOCKS
    return {
        "weights": LARGE,
        "heap_global_days": whole[THESIS_WAY] * sort_grows(LARGE, weights) / DAY,
        "heap_layerwise_32_parallel_hours": block[THESIS_WAY]
        * sort_grows(in_a_block, weights / PAPER_BLOCKS)
        / HOUR,
        "ours_global_seconds": whole[OURS] * LARGE / weights,
    }
