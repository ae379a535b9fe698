"""The devices of this machine: which there are, and which one a config's name means."""

import platform
from typing import Any

import torch


def resolve_device(name: str) -> torch.device:
    """The device of a config's name; `auto` takes CUDA, then MPS, then the CPU.

    Raises `ValueError` when this machine does not have it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(name)
    missing = {
        "cuda": lambda: (device.index or 0) >= torch.cuda.device_count(),
        "mps": lambda: not torch.backends.mps.is_available(),
    }.get(device.type, lambda: False)
    if missing():
        raise ValueError(f"this machine has no device {name}; device=auto or device=cpu works everywhere.")
    return device


def devices() -> list[dict[str, Any]]:
    """What this machine can train on: name as in a config, label, and free memory in bytes where known."""
    found: list[dict[str, Any]] = [{"name": "cpu", "label": platform.processor() or platform.machine()}]
    for index in range(torch.cuda.device_count()):
        free, _total = torch.cuda.mem_get_info(index)
        found.append({"name": f"cuda:{index}", "label": torch.cuda.get_device_name(index), "free": free})
    if torch.backends.mps.is_available():
        found.append({"name": "mps", "label": "Apple GPU"})
    return found
