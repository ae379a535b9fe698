"""The cost of the projection, in ratios of times: `python -m sparsecore bench projection`.

All methods work on copies of the same weights and alternate, so that other load on the machine affects all.
"""

from __future__ import annotations

import heapq
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sparsecore.engine.projection.project import project_

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
    methods: dict[str, Callable[[], int]] = {
        "w.mul_(1.0)": lambda: work.mul_(1.0).numel(),
        "ours": lambda: sum(project_([work], keep, masks=[mask], last=given.last).kept),
    }
    for name, threshold in THRESHOLDS.items():
        if name != "heap" or size <= _HEAP:
            methods[name] = lambda threshold=threshold: _masked(work, threshold(work, keep), mask)

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


THRESHOLDS: dict[str, Callable[[Tensor, int], float]] = {
    "topk and mask": lambda w, keep: float(torch.topk(w.abs(), keep, sorted=False).values.min()),
    "np.partition": _by_partition,
    "kthvalue": lambda w, keep: float(torch.kthvalue(w.abs(), w.numel() - keep + 1).values),
    "sort": lambda w, keep: float(torch.sort(w.abs(), descending=True).values[keep - 1]),
    "heap": lambda w, keep: heapq.nlargest(keep, w.abs().tolist())[-1],  # as in the thesis
}
