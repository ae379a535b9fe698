"""What a task is: data, a network, a loss a step, metrics, and a picture of what the network computes."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig

Arrays = dict[str, np.ndarray]
Metrics = dict[str, dict[str, float]]

# Each use of randomness draws from a stream of its own, so that more of one never shifts another.
STREAMS = {"train": 1, "test": 2, "split": 3, "batches": 4, "dropout": 5}

TRIAL_REACH = 10.0  # how far from 0 the points of a comparison lie


class Task(ABC):
    """One task of a run. Everything random in it follows from the config's seed.

    model: the network, on `device`, with PyTorch's initial weights for the seed.
    size: what the card says of the config's size.
    blocks: glob patterns of the modules that each count as one layer.
    record_every: steps between two records of loss and sparsity, of the card.
    measure_every: steps between two measurements of the metrics; as often, unless a task says otherwise.
    early_measurements: further steps with a measurement, for the curves only: they end no run.
    patience: measurements without a better `watched` metric after which training ends; None for never.
    planned_steps: of the size's plan, the last step of a config that names none; None without a plan.
    """

    blocks: tuple[str, ...] = ()
    early_measurements: Collection[int] = ()
    patience: int | None = None
    planned_steps: int | None = None

    model: nn.Module

    def __init__(self, config: RunConfig, device: torch.device, home: Path | None = None) -> None:
        self.config, self.device, self.home = config, device, home
        self.size = tasks()[config.task].sizes[config.size]
        self.record_every = self.measure_every = self.size.record_every

    @classmethod
    def network_of(cls, config: RunConfig, weights: Mapping[str, np.ndarray]) -> nn.Module:
        """The network of a run with these weights, on the CPU; a task that needs texts builds it without."""
        model = cls(config, torch.device("cpu")).model
        model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        return model.eval()

    @staticmethod
    def trial_inputs(network: nn.Module, count: int) -> np.ndarray:
        """Return inputs (count, …) to compare an exported network on: points, unless a task reads others."""
        first = next(part for part in network.modules() if isinstance(part, nn.Linear))
        points = np.random.default_rng(0).uniform(-TRIAL_REACH, TRIAL_REACH, (count, first.in_features))
        return points.astype(np.float32)

    @abstractmethod
    def loss(self, step: int) -> Tensor:
        """The objective at the network's present weights for the step after `step` steps; a scalar."""

    def objective(self) -> Iterator[Tensor]:
        """Return the whole training objective at the current weights, in scalar parts that sum to it.

        For a full-batch task the loss of a step is all of it.
        """
        yield self.loss(0)

    @abstractmethod
    def metrics(self, *, final: bool = False) -> Metrics:
        """`{"train": {...}, "test": {...}}`; final: compute every figure in full."""

    @abstractmethod
    def outputs(self) -> Tensor:
        """The network's outputs on a sample of inputs, (N, ...): do they still depend on the input?"""

    @abstractmethod
    def scene(self) -> tuple[Arrays, dict[str, Any]]:
        """What the picture shows that never changes: points, the true function, sample texts."""

    @abstractmethod
    def picture(self) -> tuple[Arrays, dict[str, Any]]:
        """What the network computes now, to be drawn over the scene."""

    def watched(self, metrics: Metrics) -> float | None:
        """The figure, higher is better, that `patience` watches."""
        return None

    def pace(self, step: int) -> float:
        """What the learning rate is multiplied with at the step after `step` steps."""
        return 1.0

    def facts(self) -> dict[str, Any]:
        """What a run's result says of the task's sizes."""
        return {}

    def kept(self) -> Arrays:
        """Return what a checkpoint needs in addition to the network to be usable without the data."""
        return {}

    @contextmanager
    def drawing(self, name: str, *more: int) -> Iterator[None]:
        """torch's random numbers are for a while those of one purpose, and then what they were."""
        seeds = np.random.SeedSequence([self.config.seed, STREAMS[name], *more])
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(int(seeds.generate_state(1, np.uint32)[0]))
            yield

    def initialise(self, build: Any) -> nn.Module:
        """The network that `build()` makes, with the initial weights of the seed, on the device."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            model = build()
        return model.to(self.device)

    def stream(self, name: str, *more: int) -> np.random.Generator:
        """A source of random numbers for one purpose: the same for the same seed, on every machine."""
        return np.random.default_rng([self.config.seed, STREAMS[name], *more])

    def tensor(self, values: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
        """Values as a tensor on the task's device."""
        return torch.as_tensor(values, dtype=dtype, device=self.device)


def build(config: RunConfig, device: torch.device, home: Path | None = None) -> Task:
    """Build the task of a config, of the class that its card names; raises `CardError` for an unusable class.

    home: the folder of kept texts and of the token cache.
    """
    return tasks()[config.task].load(Task)(config, device, home)
