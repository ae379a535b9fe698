"""What the projection costs, as ratios of one run: `python -m sparsecore bench projection`.

Every method works on copies of the same weights, in turns, so that what else the machine does falls on all.
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

SIZES = (60_500, 1_835_008, 20_000_000)  # the thesis's network; a small and a middling one of today
DENSITIES = (0.02, 0.4)
STATES = ("fresh", "training", "90 % equal")
_HEAP = 2_000_000  # weights; a heap of Python's floats takes minutes for more
_PATIENCE = 0.5  # seconds; a method that has taken so long is given no further round
_TRAINED_STEPS = 8


def projection(dtype: str = "float32", rounds: int = 15) -> dict[str, Any]:
    """Measure the projection beside what else finds the largest magnitudes, on one thread.

    dtype: the name of one of torch's. rounds: how often the methods take turns.

    Returns data for JSON, a row for each of `SIZES`, `DENSITIES`, `STATES` and methods. Its `ratio_to_mul` is
    its time over that of `w.mul_(1.0)`, `topk_over_it` that of `torch.topk` and a mask over its own; `exact`
    says whether precisely the budget was kept.
    """
    kind = getattr(torch, dtype)
    with _threads(1):
        for size in SIZES:  # what is compiled at a first use is not what is measured
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


# -- the table ---------------------------------------------------------------------------------------


class Start(NamedTuple):
    """Weights to project, with what is known from the step before; moved: by how much the threshold does."""

    weights: Tensor
    mask: Tensor
    last: float | None
    moved: float | None


def start(size: int, density: float, state: str, dtype: torch.dtype) -> Start:
    """Weights as one of `STATES` has them, by a fixed seed."""
    source = torch.Generator().manual_seed(size)
    if state == "training":
        return _trained(size, density, dtype, source)
    weights = torch.randn(size, generator=source)
    if state == "90 % equal":
        weights[torch.rand(size, generator=source) < 0.9] = 0.5
    return Start(weights.to(dtype), torch.ones(size, dtype=torch.bool), None, None)


def _trained(size: int, density: float, dtype: torch.dtype, source: torch.Generator) -> Start:
    """After some steps w ← H_s(w − Adam(∇h)), h a noisy quadratic that a fifth of the weights are not in."""
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
    """The seconds of every round of each method, from the same start; and how many the mask then holds."""
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
            if turn or spent[name] > _PATIENCE:  # the first turn fills caches, where it is not too dear
                seconds[name].append(taken)
    return seconds, counted


def _masked(weights: Tensor, threshold: float, mask: Tensor) -> int:
    """What every other method has left to do: the mask, and the zeros."""
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
