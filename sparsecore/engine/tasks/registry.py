"""Tasks: data, network, loss, metrics and picture, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.base import Metrics, Task
from sparsecore.engine.tasks.sinc import Sinc
from sparsecore.engine.tasks.spirals import Spirals
from sparsecore.engine.tasks.vulnerabilities import Vulnerabilities

TASKS: dict[str, Callable[[RunConfig, torch.device, Path | None], Task]] = {
    "sinc": Sinc,
    "spirals": Spirals,
    "vulnerabilities": Vulnerabilities,
}


def build(config: RunConfig, device: torch.device, home: Path | None = None) -> Task:
    """The task of a config on a device; `home` holds kept texts and the token cache."""
    return TASKS[config.task](config, device, home)


__all__ = ["TASKS", "Metrics", "Task", "build"]
