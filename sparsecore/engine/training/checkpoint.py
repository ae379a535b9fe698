"""Network, optimiser and sparsifier as named arrays, and back: what going on bit for bit needs."""

from typing import Any

import numpy as np
import torch
from torch import nn

from sparsecore.engine.sparsifier.base import Sparsifier

Arrays = dict[str, np.ndarray]


def arrays(
    model: nn.Module, optimizer: torch.optim.Optimizer, sparsifier: Sparsifier, *, copies: bool = True
) -> Arrays:
    """All tensors: `model.*`, `optimizer.<parameter>.*`, `sparsifier.<name>`, `sparsifier.<list>.<place>`.

    Without `copies` those on a CPU are the tensors' own memory, which the next step changes.
    """

    def _array(tensor: torch.Tensor) -> np.ndarray:
        array = tensor.detach().cpu().numpy()
        return array.copy() if copies else array

    found = {f"model.{name}": _array(value) for name, value in model.state_dict().items()}
    for place, state in optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{place}.{name}": _array(value) for name, value in state.items()}
    for name, value in sparsifier.state_dict().items():
        found |= {f"sparsifier.{key}": _array(tensor) for key, tensor in _tensors(name, value).items()}
    return found


def _tensors(name: str, value: Any) -> dict[str, torch.Tensor]:
    """The tensors in one entry of a sparsifier's state: one, a list, or a dictionary by place; none else."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {f"{name}.{key}": item for key, item in pairs if isinstance(item, torch.Tensor)}


def scalars(sparsifier: Sparsifier) -> dict[str, Any]:
    """The rest of the sparsifier's state, fit for JSON."""
    return {name: value for name, value in sparsifier.state_dict().items() if not _tensors(name, value)}


def load(
    saved: Arrays,
    rest: dict[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    sparsifier: Sparsifier,
) -> None:
    """Put saved arrays and scalars back into a model, optimiser and sparsifier built the same way."""
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in saved.items()}
    model.load_state_dict(_under(tensors, "model."))
    states: dict[int, dict[str, Any]] = {}
    for name, value in _under(tensors, "optimizer.").items():
        place, key = name.split(".", 1)
        states.setdefault(int(place), {})[key] = value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    sparsifier.load_state_dict(rest | _grouped(_under(tensors, "sparsifier."), sparsifier.state_dict()))


def _grouped(tensors: dict[str, torch.Tensor], like: dict[str, Any]) -> dict[str, Any]:
    """Tensors by name and place, as the entries of a state that are single ones, lists or dictionaries."""
    found: dict[str, Any] = {}
    for key, tensor in tensors.items():
        name, _, place = key.partition(".")
        if place:
            found.setdefault(name, {})[int(place)] = tensor
        else:
            found[name] = tensor
    return {
        name: [value[place] for place in sorted(value)] if isinstance(like.get(name), list) else value
        for name, value in found.items()
    }


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
