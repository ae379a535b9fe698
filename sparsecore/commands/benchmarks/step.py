"""The cost of a training step: dense, with the projection, and with a frozen support."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from sparsecore.engine.config import RunConfig
from sparsecore.engine.methods import registry
from sparsecore.engine.sparsifier.base import Sparsifier
from sparsecore.engine.tasks import registry as tasks
from sparsecore.engine.tasks.base import Task

MODELS = {"sinc": 0.05, "spirals": 0.05, "vulnerabilities": 0.02}  # tasks and layerwise densities
_SLOW_ROUNDS = 12  # for a model with a dense step longer than `_SLOW`
_WARM = 3  # steps before the measurement: they create states, compile kernels, choose layouts
_REPEATS = 5  # measured steps of one way in a round, after one step to warm up
_SLOW = 0.1  # seconds


class _Stepping:
    """A network in training; `kind`: dense, projected or frozen."""

    def __init__(self, task: Task, kind: str) -> None:
        self.task = copy.deepcopy(task)
        rate = task.config.learning_rate
        self.optimizer = torch.optim.Adam(self.task.model.parameters(), lr=rate, fused=True)
        self.sparsifier: Sparsifier | None = None
        self.steps = 0
        if kind != "dense":
            self.sparsifier = registry.make(task.config)
            self.sparsifier.attach(self.task.model, self.optimizer, blocks=self.task.blocks)
        if kind == "frozen":
            self.step()
            self.sparsifier.freeze()

    def step(self) -> float:
        """Return the seconds of a step."""
        began = time.perf_counter()
        self.optimizer.zero_grad()
        self.task.loss(self.steps).backward()
        self.optimizer.step()
        self.steps += 1
        return time.perf_counter() - began

    def sizes(self) -> dict[str, int]:
        """Return the number of parameters, and of those that the sparsifier kept."""
        total = sum(parameter.numel() for parameter in self.task.model.parameters())
        rule = self.sparsifier
        pruned = 0 if rule is None else rule.constrained() - rule.constrained_kept()
        return {"parameters": total, "kept": total - pruned}


def step(rounds: int = 60) -> dict[str, Any]:
    """Measure the milliseconds of a dense, a projected and a frozen step on one thread, alternating.

    A ratio is the median over the rounds. The frozen row is missing if no layer was faster when frozen.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {"rounds": rounds, "rows": [row for name in MODELS for row in _rows(name, rounds)]}
    finally:
        torch.set_num_threads(threads)


def _rows(name: str, rounds: int) -> list[dict[str, Any]]:
    given = {"task": name, "size": "paper", "method": "layerwise", "density": MODELS[name], "device": "cpu"}
    task = tasks.build(RunConfig.parse(given), torch.device("cpu"))
    trained = {kind: _Stepping(task, kind) for kind in ("dense", "projected", "frozen")}
    warm = {kind: [stepping.step() for _ in range(_WARM)] for kind, stepping in trained.items()}
    frozen = trained["frozen"].sparsifier.frozen
    if all(layer["path"] == "dense" for layer in frozen.report()):
        del trained["frozen"]
    slow = min(warm["dense"]) > _SLOW
    rounds, repeats = (min(rounds, _SLOW_ROUNDS), 1) if slow else (rounds, _REPEATS)
    times = _interleaved({kind: stepping.step for kind, stepping in trained.items()}, rounds, repeats)
    return [
        {
            "model": name,
            "step": kind,
            "milliseconds": 1e3 * statistics.median(seconds),
            "ratio_to_dense": statistics.median(
                mine / dense for mine, dense in zip(seconds, times["dense"], strict=True)
            ),
            **trained[kind].sizes(),
        }
        for kind, seconds in times.items()
    ]


def _interleaved(ways: dict[str, Callable[[], float]], rounds: int, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each way in each round."""
    times: dict[str, list[float]] = {kind: [] for kind in ways}
    for _ in range(rounds):
        for kind, run in ways.items():
            run()  # brings its tensors back into the caches
            times[kind].append(statistics.mean(run() for _ in range(repeats)))
    return times
