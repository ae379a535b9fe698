"""Regression: fit y = sin(x)/x from noisy points (thesis, section 3.1)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.base import Arrays, Metrics, Task
from sparsecore.engine.tasks.networks import Perceptron
from sparsecore.engine.tasks.points import SINC_REACH, sinc, sinc_points

POINTS = 300  # training points (thesis); as many fresh test points, which the thesis does not give
GRID = 320  # points of the drawn curve


class Sinc(Task):
    """y = sin(x)/x + N(0, `noise`), `noise` a variance; full batch, mean squared error, metric RMSE."""

    criterion = staticmethod(functional.mse_loss)

    def __init__(self, config: RunConfig, device: torch.device, home: Path | None = None) -> None:
        super().__init__(config, device, home)
        self.train, self.test = (
            sinc_points(self.stream(part), POINTS, config.noise) for part in ("train", "test")
        )
        self.x, self.y = (self.tensor(part[:, None]) for part in self.train)
        self.test_x = self.tensor(self.test[0][:, None])
        self.grid = np.linspace(-SINC_REACH, SINC_REACH, GRID, dtype=np.float32)
        self.model = self.initialise(lambda: Perceptron(self.size.network["widths"]))

    def loss(self, step: int) -> Tensor:
        return self.criterion(self.model(self.x), self.y)

    def metrics(self, *, final: bool = False) -> Metrics:
        fitted_train, fitted = self._predict(self.x), self._predict(self.test_x)
        return {
            "train": {"rmse": _rmse(fitted_train, self.train[1])},
            "test": {"rmse": _rmse(fitted, self.test[1]), "rmse_clean": _rmse(fitted, sinc(self.test[0]))},
        }

    def outputs(self) -> Tensor:
        with torch.no_grad():
            return self.model(self.test_x)

    def scene(self) -> tuple[Arrays, dict[str, Any]]:
        arrays = {
            "train.x": self.train[0],
            "train.y": self.train[1],
            "test.x": self.test[0],
            "test.y": self.test[1],
            "grid.x": self.grid,
            "grid.y": sinc(self.grid).astype(np.float32),
        }
        return arrays, {"kind": "curve", "floor": float(np.sqrt(self.config.noise))}

    def picture(self) -> tuple[Arrays, dict[str, Any]]:
        return {"fit": self._predict(self.tensor(self.grid[:, None]))}, {}

    def _predict(self, x: Tensor) -> np.ndarray:
        with torch.no_grad():
            return self.model(x)[:, 0].cpu().numpy()


def _rmse(fitted: np.ndarray, true: np.ndarray) -> float:
    return float(np.sqrt(np.mean((fitted.astype(np.float64) - true) ** 2)))
