"""Many models trained as one batch beside the same models one by one, on one device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from sparsecore.batched.training import train_many
from sparsecore.config import RunConfig
from sparsecore.devices import resolve_device
from sparsecore.training import train

DENSITIES = (0.4, 0.2, 0.1, 0.05)
METHODS = ("layerwise", "global")


def batch(
    models: int = 16,
    size: str = "paper",
    task: str = "sinc",
    device: str = "auto",
    steps: int = 200,
    rounds: int = 5,
) -> dict[str, Any]:
    """Seconds for `models` runs of `steps` steps, records and checkpoints included; both ways take turns.

    The ratio is the median of those of the rounds: one by one over batch, above 1 where the batch is faster.
    On a CPU it is for the record only: there the batch is not used.
    """
    configs = [
        RunConfig.parse(
            {"task": task, "size": size, "seed": place, "max_steps": steps, "theta": 0.0, "device": device}
            | {"method": METHODS[place % 2], "density": DENSITIES[place // 2 % len(DENSITIES)]}
        )
        for place in range(models)
    ]
    where = resolve_device(device)
    times: dict[str, list[float]] = {"one_by_one": [], "batch": []}
    ways = {"one_by_one": lambda: _one_by_one(configs), "batch": lambda: _batch(configs)}
    for way in ways.values():
        way()  # loads and compiles what is loaded and compiled but once
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(_seconds(way, where))
    ratios = [alone / many for alone, many in zip(times["one_by_one"], times["batch"], strict=True)]
    return {
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else str(where),
        "task": task,
        "size": size,
        "models": models,
        "steps": steps,
        "rounds": rounds,
        "seconds_one_by_one": statistics.median(times["one_by_one"]),
        "seconds_batch": statistics.median(times["batch"]),
        "ratio": statistics.median(ratios),
    }


def _one_by_one(configs: list[RunConfig]) -> None:
    for config in configs:
        for _ in train(config):
            pass


def _batch(configs: list[RunConfig]) -> None:
    for _ in train_many(configs):
        pass


def _seconds(way: Callable[[], None], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    way()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
