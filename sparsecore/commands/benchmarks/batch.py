"""Compare training many models as one batch with training them one by one, on one device."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from sparsecore.engine.batch.grouping import fits
from sparsecore.engine.batch.loop import train_many
from sparsecore.engine.config import PAPER_METHODS, RunConfig
from sparsecore.engine.devices import resolve_device
from sparsecore.engine.training.loop import train

DENSITIES = (0.4, 0.2, 0.1, 0.05)


def batch(
    models: int = 16,
    size: str = "paper",
    task: str = "sinc",
    device: str = "auto",
    steps: int = 200,
    rounds: int = 5,
) -> dict[str, Any]:
    """Measure the seconds for `models` runs of `steps` steps, both ways alternating.

    The ratio is the median over the rounds of one by one over batch, above 1 where the batch is faster. On a
    CPU it is for information only: batches are not used there.
    """
    shared = {"task": task, "size": size, "max_steps": steps, "theta": 0.0, "device": device}
    configs = [RunConfig.parse(shared | _own(place)) for place in range(models)]
    if not all(fits(config) for config in configs):
        raise ValueError(f"networks of {task} do not train as one batch.")
    where = resolve_device(device)
    ways = {"one_by_one": lambda: _one_by_one(configs), "batch": lambda: _batch(configs)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            seconds = _seconds(way, where)
            if turn:  # the first round loads and compiles
                times[name].append(seconds)
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


def _own(place: int) -> dict[str, Any]:
    """Return the parameters that distinguish one of the models."""
    return {
        "seed": place,
        "method": PAPER_METHODS[place % len(PAPER_METHODS)],
        "density": DENSITIES[place // len(PAPER_METHODS) % len(DENSITIES)],
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
