"""Network, optimiser and sparsifier as named arrays, and back: what going on bit for bit needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from sparsecore.sparsifiers import Sparsifier

Arrays = dict[str, np.ndarray]


def arrays(model: nn.Module, optimizer: torch.optim.Optimizer, sparsifier: Sparsifier) -> Arrays:
    """Copies of all state: `model.*`, `optimizer.<parameter>.*`, `count.<layer>` and `mask.<layer>`."""
    found = {f"model.{name}": _array(value) for name, value in model.state_dict().items()}
    for place, state in optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{place}.{name}": _array(value) for name, value in state.items()}
    for place in range(len(sparsifier.layers)):
        found[f"count.{place}"] = _array(sparsifier.counts[place])
        found[f"mask.{place}"] = _array(sparsifier.masks[place])
    return found


def load(saved: Arrays, model: nn.Module, optimizer: torch.optim.Optimizer, sparsifier: Sparsifier) -> None:
    """Put saved arrays back into a model, optimiser and sparsifier that were built the same way."""
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in saved.items()}
    model.load_state_dict(_under(tensors, "model."))
    states: dict[int, dict[str, Any]] = {}
    for name, value in _under(tensors, "optimizer.").items():
        place, key = name.split(".", 1)
        states.setdefault(int(place), {})[key] = value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    for place, layer in enumerate(sparsifier.layers):
        sparsifier.counts[place] = tensors[f"count.{place}"].to(layer.weight.device)
        sparsifier.masks[place] = tensors[f"mask.{place}"].to(layer.weight.device)
    sparsifier.kept = [int(mask.count_nonzero()) for mask in sparsifier.masks]


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
