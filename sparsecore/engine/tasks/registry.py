"""Tasks by name: data, network, loss, metrics and picture, built by the class that a card names."""

from __future__ import annotations

from pathlib import Path

import torch

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.base import Task


def build(config: RunConfig, device: torch.device, home: Path | None = None) -> Task:
    """The task of a config on a device; `home` holds kept texts and the token cache.

    A `CardError` where its class cannot be used.
    """
    return tasks()[config.task].load(Task)(config, device, home)
