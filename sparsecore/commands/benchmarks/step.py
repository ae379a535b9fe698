"""The cost of a training step: dense, with the projection, and with a frozen support."""

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sparsecore.commands.benchmarks.projection import THRESHOLDS, Threshold
from sparsecore.engine.config import RunConfig
from sparsecore.engine.sparsifier.base import Sparsifier, make
from sparsecore.engine.tasks.base import Task, build

LENET = "lenet-300-100"
# The model, the method and the density of each case.
CASES = (
    (LENET, "global", 0.05),
    (LENET, "layerwise", 0.05),
    ("sinc", "layerwise", 0.05),
    ("spirals", "layerwise", 0.05),
    ("vulnerabilities", "layerwise", 0.02),
)
COMPARED = ("topk and mask", "np.partition")  # other ways to project, of `bench projection`
BATCH = 64  # images a step of LeNet-300-100
_SLOW_ROUNDS = 12  # for a model with a dense step longer than `_SLOW`
_WARM = 3  # steps before the measurement: they create states, compile kernels, choose layouts
_REPEATS = 5  # measured steps of one way in a round, after one step to warm up
_SLOW = 0.1  # seconds


class _LeNet:
    """LeNet-300-100 on random images of MNIST's size, with the parts of a task that a step needs."""

    blocks = ()

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        source = torch.Generator().manual_seed(0)
        self.images = torch.rand(16 * BATCH, 784, generator=source)
        self.digits = torch.randint(10, (16 * BATCH,), generator=source)
        sizes = [nn.Linear(784, 300), nn.Linear(300, 100), nn.Linear(100, 10)]
        self.model = nn.Sequential(sizes[0], nn.ReLU(), sizes[1], nn.ReLU(), sizes[2])

    def loss(self, step: int) -> torch.Tensor:
        part = slice(step * BATCH % len(self.images), step * BATCH % len(self.images) + BATCH)
        return nn.functional.cross_entropy(self.model(self.images[part]), self.digits[part])


class _Stepping:
    """A network in training; `kind`: dense, projected, frozen, or one of `COMPARED`."""

    def __init__(self, task: Task | _LeNet, kind: str) -> None:
        self.task = copy.deepcopy(task)
        rate = task.config.learning_rate
        self.optimizer = torch.optim.Adam(self.task.model.parameters(), lr=rate, fused=True)
        self.sparsifier: Sparsifier | None = None
        self.steps = 0
        if kind != "dense":
            self.sparsifier = make(task.config)
            self.sparsifier.attach(self.task.model, self.optimizer, blocks=self.task.blocks)
        if kind == "frozen":
            self.step()
            self.sparsifier.freeze()
        if kind in COMPARED:
            self.sparsifier.detach()
            self.optimizer.register_step_post_hook(lambda *_: self._project(THRESHOLDS[kind]))

    @torch.no_grad()
    def _project(self, find: Threshold) -> None:
        """Keep about the budget of each group, by a threshold of all its magnitudes."""
        budgets = self.sparsifier.budgets()
        for group, places in self.sparsifier.members().items():
            weights = [self.sparsifier.layers[place].weight for place in places]
            least = find(torch.cat([each.flatten() for each in weights]), budgets[group])
            for each in weights:
                each.mul_(each.abs() >= least)

    def step(self) -> float:
        """Return the seconds of a step."""
        began = time.perf_counter()
        self.optimizer.zero_grad()
        self.task.loss(self.steps).backward()
        self.optimizer.step()
        self.steps += 1
        return time.perf_counter() - began

    def sizes(self) -> dict[str, int]:
        """Return the number of parameters, and of those that are not pruned."""
        total = sum(parameter.numel() for parameter in self.task.model.parameters())
        layers = [] if self.sparsifier is None else self.sparsifier.layers
        zeros = sum(int((each.weight == 0).sum()) for each in layers if each.group is not None)
        return {"parameters": total, "kept": total - zeros}


def step(rounds: int = 60) -> dict[str, Any]:
    """Measure the milliseconds of a dense, a projected and a frozen step on one thread, alternating.

    Beside them stand steps that are projected by a threshold of torch.topk and of np.partition.

    A ratio is the median over the rounds. The frozen row is missing if no layer was faster when frozen.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [row for case in CASES for row in _rows(*case, rounds)]
        return {"rounds": rounds, "lenet_batch": BATCH, "rows": rows}
    finally:
        torch.set_num_threads(threads)


def _rows(name: str, method: str, density: float, rounds: int) -> list[dict[str, Any]]:
    given = {"size": "paper", "method": method, "density": density, "device": "cpu"}
    if name == LENET:
        task = _LeNet(RunConfig.parse(given))
    else:
        task = build(RunConfig.parse(given | {"task": name}), torch.device("cpu"))
    trained = {kind: _Stepping(task, kind) for kind in ("dense", "projected", "frozen", *COMPARED)}
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
            "method": method,
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
