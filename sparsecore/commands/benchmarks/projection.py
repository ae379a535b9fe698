"""The cost of the projection, in ratios of times: `python -m sparsecore bench projection`.

All methods work on copies of the same weights and alternate, so that other load on the machine affects all.
"""

import heapq
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import log2
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sparsecore.engine.projection.project import project_
from sparsecore.paper.thesis import PAPER_BLOCKS, PAPER_WEIGHTS, SORTING, tables

SIZES = (60_500, 1_835_008, 20_000_000)  # the thesis's networks, and a larger one
DENSITIES = (0.02, 0.4)
STATES = ("fresh", "training", "90 % equal")
_HEAP = 2_000_000  # weights; for more, a heap of Python floats takes minutes
_PATIENCE = 0.5  # seconds; a method that has taken longer gets no further round
_TRAINED_STEPS = 8


def projection(dtype: str = "float32", rounds: int = 15) -> dict[str, Any]:
    """Compare the projection with other ways to find the largest magnitudes, on one thread.

    dtype: the name of a torch dtype. rounds: how often the methods alternate.

    Returns data for JSON, a row for each of `SIZES`, `DENSITIES`, `STATES` and methods. `ratio_to_mul` is the
    method's time over that of `w.mul_(1.0)`, `topk_over_it` the time of `torch.topk` and a mask over the
    method's; `exact` says whether exactly the budget was kept.
    """
    kind = getattr(torch, dtype)
    with _threads(1):
        for size in SIZES:  # compile before the measurement
            project_([torch.linspace(-1, 1, size).to(kind)], size // 50, last=0.98)
        rows = [
            row
            for size in SIZES
            for density in DENSITIES
            for state in STATES
            for row in _rows(size, density, state, kind, rounds)
        ]
    return {"dtype": dtype, "threads": 1, "rounds": rounds, "rows": rows}


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# -- the rows of the result -------------------------------------------------------------------------------


class Start(NamedTuple):
    """Weights to project, and the threshold of the step before; moved: its change."""

    weights: Tensor
    mask: Tensor
    last: float | None
    moved: float | None


def start(size: int, density: float, state: str, dtype: torch.dtype) -> Start:
    """Build the weights of one of `STATES` from a fixed seed."""
    source = torch.Generator().manual_seed(size)
    if state == "training":
        return _trained(size, density, dtype, source)
    weights = torch.randn(size, generator=source)
    if state == "90 % equal":
        weights[torch.rand(size, generator=source) < 0.9] = 0.5
    return Start(weights.to(dtype), torch.ones(size, dtype=torch.bool), None, None)


def _trained(size: int, density: float, dtype: torch.dtype, source: torch.Generator) -> Start:
    """Return weights after steps w ← H_s(w − Adam(∇h)); the noisy quadratic h ignores a fifth of them."""
    weights = (0.05 * torch.randn(size, generator=source)).to(dtype)
    target, noise = torch.randn(size, generator=source).mul_(0.05), torch.empty(size)
    alive = torch.rand(size, generator=source) < 0.8
    optimiser = torch.optim.Adam([torch.nn.Parameter(weights)], lr=1e-4)
    (parameter,) = optimiser.param_groups[0]["params"]
    mask, keep, last, before = torch.ones(size, dtype=torch.bool), round(density * size), None, None
    for step in range(_TRAINED_STEPS):
        noise.normal_(generator=source).mul_(0.02)
        parameter.grad = (noise.add_(parameter.detach().float()).sub_(target) * alive).to(dtype)
        optimiser.step()
        if step < _TRAINED_STEPS - 1:
            before, last = last, project_([parameter.data], keep, masks=[mask], last=last).threshold
    moved = None if not last or before is None else abs(last - before) / last
    return Start(parameter.detach(), mask, last, moved)


def _rows(size: int, density: float, state: str, dtype: torch.dtype, rounds: int) -> list[dict[str, Any]]:
    given, keep = start(size, density, state, dtype), max(1, round(density * size))
    work, mask = given.weights.clone(), given.mask.clone()
    thresholds = {name: find for name, find in THRESHOLDS.items() if name != "heap" or size <= _HEAP}
    methods = {"w.mul_(1.0)": lambda: work.mul_(1.0).numel()}
    methods |= _methods(thresholds, work, keep, mask, given.last)

    def reset() -> None:
        work.copy_(given.weights)
        mask.copy_(given.mask)

    seconds, kept = _in_turns(methods, reset, lambda: int(mask.count_nonzero()), rounds)
    mul, topk = (statistics.median(seconds[name]) for name in ("w.mul_(1.0)", "topk and mask"))
    shared = {"weights": size, "density": density, "state": state, "threshold_moved": given.moved}
    rows = []
    for name, times in seconds.items():
        median = statistics.median(times)
        figures = {"milliseconds": 1e3 * median, "ratio_to_mul": median / mul, "topk_over_it": topk / median}
        exact = None if name == "w.mul_(1.0)" else kept[name] == keep
        rows.append(shared | {"method": name} | figures | {"rounds": len(times), "exact": exact})
    if "heap" not in seconds:
        rows.append(shared | {"method": "heap", "skipped": f"only up to {_HEAP:,} weights: it takes minutes"})
    return rows


def _methods(
    thresholds: "dict[str, Threshold]", work: Tensor, keep: int, mask: Tensor, last: float | None = None
) -> dict[str, Callable[[], int]]:
    """Return the projection and, for each way to find a threshold, its application to the same weights."""
    methods = {"ours": lambda: sum(project_([work], keep, masks=[mask], last=last).kept)}
    for name, find in thresholds.items():
        methods[name] = lambda find=find: _masked(work, find(work, keep), mask)
    return methods


def _in_turns(
    methods: dict[str, Callable[[], int]], reset: Callable[[], None], kept: Callable[[], int], rounds: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Return each method's seconds per round from the same start, and its number of kept weights."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    spent, counted = dict.fromkeys(methods, 0.0), dict.fromkeys(methods, 0)
    for turn in range(rounds + 1):
        for name, method in methods.items():
            if spent[name] > _PATIENCE:
                continue
            reset()
            begun = time.perf_counter()
            method()
            taken = time.perf_counter() - begun
            spent[name] += taken
            counted[name] = kept()
            if turn or spent[name] > _PATIENCE:  # the first round fills caches, unless the method is slow
                seconds[name].append(taken)
    return seconds, counted


def _masked(weights: Tensor, threshold: float, mask: Tensor) -> int:
    """Apply a threshold: the mask and the zeros, which the other methods leave to do."""
    torch.ge(weights.abs(), threshold, out=mask)
    weights.mul_(mask)
    return 0


def _by_partition(weights: Tensor, keep: int) -> float:
    magnitudes = weights.abs().float().numpy() if weights.dtype == torch.bfloat16 else weights.abs().numpy()
    return float(np.partition(magnitudes, magnitudes.size - keep)[magnitudes.size - keep])


Threshold = Callable[[Tensor, int], float]
THRESHOLDS: dict[str, Threshold] = {
    "topk and mask": lambda w, keep: float(torch.topk(w.abs(), keep, sorted=False).values.min()),
    "np.partition": _by_partition,
    "kthvalue": lambda w, keep: float(torch.kthvalue(w.abs(), w.numel() - keep + 1).values),
    "sort": lambda w, keep: float(torch.sort(w.abs(), descending=True).values[keep - 1]),
    "heap": lambda w, keep: heapq.nlargest(keep, w.abs().tolist())[-1],  # as in the thesis
}

# -- Table 3-5 of the thesis, which sorts with a heap: all weights at once, or one block after the other ---

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
    with _threads(1):
        whole, block = _measured(weights, rounds), _measured(weights // PAPER_BLOCKS, rounds)
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
    """Return the median seconds of each way on the same weights; a slow one runs once."""
    start = torch.randn(size, generator=torch.Generator().manual_seed(size))
    work, mask = start.clone(), torch.ones(size, dtype=torch.bool)
    thresholds = {
        THESIS_WAY: _by_heap_sort,
        "heap selection": THRESHOLDS["heap"],
        "topk and mask": THRESHOLDS["topk and mask"],
    }
    methods = _methods(thresholds, work, max(1, round(DENSITY * size)), mask)

    def reset() -> None:
        work.copy_(start)
        mask.fill_(True)

    seconds, _ = _in_turns(methods, reset, lambda: 0, rounds)
    return {way: statistics.median(seconds[way]) for way in (*thresholds, OURS)}


def _by_heap_sort(weights: Tensor, keep: int) -> float:
    """Sort all magnitudes with a heap, as the thesis describes."""
    heap = weights.abs().neg_().tolist()
    heapq.heapify(heap)
    ordered = [heapq.heappop(heap) for _ in range(len(heap))]
    return -ordered[keep - 1]


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
