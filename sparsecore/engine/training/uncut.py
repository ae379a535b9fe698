"""The weights of the last step before the projection cut them, z = w − γ∇h(w): taken when a frame asks.

No step does anything for it: the projection sets what it cuts to zero in place, but the weights before the
step and Adam's averages after it are both still there, and z follows from them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.sparsifier.base import Sparsifier
from sparsecore.engine.training.before_step import BeforeStep


@torch.no_grad()
def uncut(
    sparsifier: Sparsifier, before: BeforeStep, optimizer: torch.optim.Adam, rate: float
) -> list[Tensor | None]:
    """Of each layer under the constraint what the last step cut from: z of its shape; None for the others.

    z of a weight that was cut is that of the step up to rounding; one that was kept has it as its value.
    rate: the learning rate of that step; it may have been changed since. In the latent mode z is the dense
    iterate itself.
    """
    saved = {id(now): copy for now, copy in zip(before.parameters, before.saved, strict=True)}
    found: list[Tensor | None] = []
    for place, layer in enumerate(sparsifier.layers):
        if layer.group is None or sparsifier.kept[place] == layer.weight.numel():
            found.append(None)
            continue
        z = sparsifier.iterate(place) if isinstance(sparsifier, HardThreshold) else None
        if z is None:
            z = adam_moved(saved[id(layer.weight)], optimizer.state[layer.weight], optimizer.defaults, rate)
        found.append(z)
    return found


def adam_moved(start: Tensor, state: dict[str, Tensor], constants: dict, rate: float) -> Tensor:
    """Where the Adam step that left this state moved `start` to (Kingma & Ba, 2015, algorithm 1).

    constants: its `betas` and `eps`; there is no weight decay and no AMSGrad.

    >>> state = {"exp_avg": torch.tensor([0.1]), "exp_avg_sq": torch.tensor([1e-3])}
    >>> state["step"] = torch.tensor(1.0)
    >>> adam_moved(torch.tensor([1.0]), state, {"betas": (0.9, 0.999), "eps": 1e-8}, rate=0.25)
    tensor([0.7500])
    """
    step, (first, second) = float(state["step"]), constants["betas"]
    deviation = (state["exp_avg_sq"].sqrt() / math.sqrt(1 - second**step)).add_(constants["eps"])
    return start.addcdiv(state["exp_avg"], deviation, value=-rate / (1 - first**step))
