"""Classification: two interleaved spirals in the plane (thesis, section 3.2)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.base import Arrays, Metrics, Task
from sparsecore.engine.tasks.networks import Perceptron
from sparsecore.engine.tasks.points import best_accuracy, spiral_points

TRAIN_SHARE = 0.8
GRID = 64  # cells a side of the drawn decision boundary
EDGE = 1.15  # the drawn square reaches a little past the outermost radius of 1


class Spirals(Task):
    """rₙ = n/1000, αₙ = 2πn/1000 (+π for class 1) + N(0, noise²); full batch, cross-entropy, accuracy."""

    criterion = staticmethod(functional.cross_entropy)

    def __init__(self, config: RunConfig, device: torch.device, home: Path | None = None) -> None:
        super().__init__(config, device, home)
        points, labels = spiral_points(self.stream("train"), config.noise)
        order = self.stream("split").permutation(len(labels))
        cut = int(TRAIN_SHARE * len(labels))
        self.points, self.labels = points[order], labels[order]
        self.x, self.test_x = self.tensor(self.points).split([cut, len(labels) - cut])
        self.y, self.test_y = self.tensor(self.labels, torch.int64).split([cut, len(labels) - cut])
        self.grid = self.tensor(_square())
        self.model = self.initialise(lambda: Perceptron(self.size.network["widths"]))

    def loss(self, step: int) -> Tensor:
        return self.criterion(self.model(self.x), self.y)

    def metrics(self, *, final: bool = False) -> Metrics:
        return {
            "train": {"accuracy": self._accuracy(self.x, self.y)},
            "test": {"accuracy": self._accuracy(self.test_x, self.test_y)},
        }

    def outputs(self) -> Tensor:
        with torch.no_grad():
            return self.model(self.test_x)

    def scene(self) -> tuple[Arrays, dict[str, Any]]:
        arrays = {"points": self.points, "labels": self.labels.astype(np.uint8)}
        meta = {"kind": "boundary", "grid": GRID, "edge": EDGE, "train": len(self.x)}
        return arrays, meta | {"ceiling": best_accuracy(self.config.noise)}

    def picture(self) -> tuple[Arrays, dict[str, Any]]:
        with torch.no_grad():
            chance = torch.softmax(self.model(self.grid), dim=1)[:, 1]
        return {"chance": (chance * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()}, {}

    def _accuracy(self, x: Tensor, y: Tensor) -> float:
        with torch.no_grad():
            return float((self.model(x).argmax(dim=1) == y).double().mean())


def _square() -> np.ndarray:
    """The centres of the grid's cells, (GRID², 2), row by row from the lowest y."""
    side = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID * 2 * EDGE - EDGE
    x, y = np.meshgrid(side, side)
    return np.stack([x.ravel(), y.ravel()], axis=1)
