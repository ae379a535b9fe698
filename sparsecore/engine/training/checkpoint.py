"""Network, optimiser and sparsifier as named arrays, and back: what going on bit for bit needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from sparsecore.engine.sparsifier.base import Sparsifier

Arrays = dict[str, np.ndarray]


# Of a sparsifier's state: a tensor for each layer, and, in the latent mode, for some.
LISTS = ("masks", "counts", "dense")


def arrays(
    model: nn.Module, optimizer: torch.optim.Optimizer, sparsifier: Sparsifier, *, copies: bool = True
) -> Arrays:
    """All tensors: `model.*`, `optimizer.<parameter>.*`, `sparsifier.<list>.<layer>`.

    Without `copies` those on a CPU are the tensors' own memory, which the next step changes.
    """

    def _array(tensor: torch.Tensor) -> np.ndarray:
        array = tensor.detach().cpu().numpy()
        return array.copy() if copies else array

    found = {f"model.{name}": _array(value) for name, value in model.state_dict().items()}
    for place, state in optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{place}.{name}": _array(value) for name, value in state.items()}
    for name, tensors in sparsifier.state_dict().items():
        if name in LISTS:
            items = tensors.items() if isinstance(tensors, dict) else enumerate(tensors)
            found |= {f"sparsifier.{name}.{place}": _array(tensor) for place, tensor in items}
    return found


def scalars(sparsifier: Sparsifier) -> dict[str, Any]:
    """The rest of the sparsifier's state, fit for JSON."""
    return {name: value for name, value in sparsifier.state_dict().items() if name not in LISTS}


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
    lists = {
        name: {int(place): tensor for place, tensor in _under(tensors, f"sparsifier.{name}.").items()}
        for name in LISTS
    }
    ordered = {name: [lists[name][i] for i in range(len(lists[name]))] for name in ("masks", "counts")}
    sparsifier.load_state_dict(rest | ordered | {"dense": lists["dense"]})


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
