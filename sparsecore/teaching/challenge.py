"""The challenge: solve a task with the fewest weights. A run is judged by its own weights alone.

The judge computes the network's outputs with numpy on fixed points of its own, which no run has trained on,
independent of the run's noise and seed. It imports no torch, so the server judges at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from sparsecore.engine.config import NOISE
from sparsecore.engine.tasks.points import sinc_points, spiral_points

MODEL = "model."  # prefix of a network's arrays in a checkpoint
SEED = 20_261_122  # seed of the judge's points
SINC_POINTS = 4_000  # the standard error of an RMSE near 0.08 is then under 0.001
SPIRAL_DRAWS = 4  # draws of 2,000 points; the standard error of an accuracy near 99 % is 0.11 points


@dataclass(frozen=True)
class Challenge:
    """A task, its metric, and the value to reach. `lower`: lower values are better."""

    task: str
    metric: str
    limit: float
    lower: bool

    def passes(self, value: float) -> bool:
        """Return whether a network with this metric may enter."""
        return value <= self.limit if self.lower else value >= self.limit


CHALLENGES = {
    "spirals": Challenge("spirals", "accuracy", 0.99, lower=False),
    "sinc": Challenge("sinc", "rmse", 0.08, lower=True),
}


class NotJudged(ValueError):
    """The arrays are no network of the task; the message names the problem."""


@dataclass(frozen=True)
class Judgement:
    """The judge's result: non-zero weights in all matrices, and the metric on the judge's points."""

    nonzeros: int
    value: float
    passes: bool


def judge(task: str, arrays: Mapping[str, np.ndarray]) -> Judgement:
    """Judge the network in a checkpoint's arrays; biases are not counted.

    Raises `NotJudged` unless the arrays are a multilayer perceptron of the task with finite weights.
    """
    challenge, layers = CHALLENGES[task], _layers(arrays)
    points, targets = _points(task)
    outputs = _forward(layers, points)
    if task == "sinc":
        value = float(np.sqrt(np.mean((outputs[:, 0] - targets) ** 2)))
    else:
        value = float(np.mean(outputs.argmax(axis=1) == targets))
    nonzeros = sum(int(np.count_nonzero(weight)) for weight, _ in layers)
    return Judgement(nonzeros, value, challenge.passes(value))


def _points(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs (N, widths[0]) and their targets."""
    stream = np.random.default_rng(SEED)
    if task == "sinc":
        x, y = sinc_points(stream, SINC_POINTS, NOISE["sinc"].default)
        return x[:, None], y
    draws = [spiral_points(stream, NOISE["spirals"].default) for _ in range(SPIRAL_DRAWS)]
    points, labels = zip(*draws, strict=True)
    return np.concatenate(points), np.concatenate(labels)


def _layers(arrays: Mapping[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weight (out, in) and bias (out,) of fc1, fc2, …, in double precision."""
    layers = []
    while (name := f"{MODEL}fc{len(layers) + 1}.weight") in arrays:
        weight, bias = arrays[name], arrays.get(name.replace(".weight", ".bias"))
        if weight.ndim != 2 or bias is None or bias.shape != weight.shape[:1]:
            raise NotJudged(f"{name} has the shape {weight.shape} and no bias that fits.")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise NotJudged(f"{name} or its bias is not finite.")
        layers.append((weight.astype(np.float64), bias.astype(np.float64)))
    if not layers:
        raise NotJudged("it has no layer fc1.")
    return layers


def _forward(layers: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray) -> np.ndarray:
    hidden = x.astype(np.float64)
    for place, (weight, bias) in enumerate(layers):
        if hidden.shape[1] != weight.shape[1]:
            raise NotJudged(f"fc{place + 1} takes {weight.shape[1]} inputs and is given {hidden.shape[1]}.")
        hidden = (expit(hidden) if place else hidden) @ weight.T + bias
    return hidden
