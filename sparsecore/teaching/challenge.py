"""The challenge: solve a task with the fewest weights. A run is judged by its own weights alone.

The judge computes the network's outputs with numpy on fixed points of its own, which no run has trained on,
independent of the run's noise and seed. It imports no torch, so the server judges at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from sparsecore.engine.cards import TaskCard, tasks

MODEL = "model."  # prefix of a network's arrays in a checkpoint
SEED = 20_261_122  # seed of the judge's points


def challenges() -> dict[str, TaskCard]:
    """Return the cards of the tasks with a challenge, in the order of the challenges."""
    cards = [card for card in tasks().values() if card.challenge is not None]
    return {card.name: card for card in sorted(cards, key=lambda card: card.challenge.place)}


def passes(card: TaskCard, value: float) -> bool:
    """Return whether a network with this value of the task's metric may enter."""
    limit = card.challenge.limit
    return value <= limit if card.metric.lower else value >= limit


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
    card, layers = challenges()[task], _layers(arrays)
    noise, points_of = card.parameters["noise"].default, card.find(card.challenge.points)
    points, targets = points_of(np.random.default_rng(SEED), noise)
    value = JUDGED[card.metric.name](_forward(layers, points), targets)
    nonzeros = sum(int(np.count_nonzero(weight)) for weight, _ in layers)
    return Judgement(nonzeros, value, passes(card, value))


def _rmse(outputs: np.ndarray, targets: np.ndarray) -> float:
    return float(np.sqrt(np.mean((outputs[:, 0] - targets) ** 2)))


def _accuracy(outputs: np.ndarray, targets: np.ndarray) -> float:
    return float(np.mean(outputs.argmax(axis=1) == targets))


JUDGED = {"rmse": _rmse, "accuracy": _accuracy}  # the judge's metrics


def _layers(arrays: Mapping[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weight (out, in) and bias (out,) of fc1, fc2, …, in double precision."""
    layers = []
    while (name := f"{MODEL}fc{len(layers) + 1}.weight") in arrays:
        weight, bias = arrays[name], arrays.get(name.replace(".weight", ".bias"))
        if weight.ndim != 2 or bias is None or bias.shape != weight.shape[:1]:
            raise NotJudged(f"{name} has the shape {weight.shape} but no matching bias.")
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
            raise NotJudged(f"fc{place + 1} takes {weight.shape[1]} inputs but receives {hidden.shape[1]}.")
        hidden = (expit(hidden) if place else hidden) @ weight.T + bias
    return hidden
