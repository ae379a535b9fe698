"""The constraint on a copy of a model, such as an average of its weights (EMA, SWA)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from sparsecore.engine.sparsifier.layers import matrices


@torch.no_grad()
def project_copy(sparsifier: Any, model: nn.Module) -> None:
    """Apply a sparsifier's present budgets to a copy of its model, in place.

    `sparsifier` is a `Sparsifier`, which calls this and states the errors.
    """
    copied = {each.name: each.weight for each in matrices(model)}
    own = sparsifier.layers
    missing = [each.name for each in own if each.group is not None and each.name not in copied]
    if missing:
        raise ValueError(f"the copy has no weight {', '.join(missing)}: it must be a copy of this model.")
    project_others(sparsifier, [copied.get(each.name, each.weight) for each in own])


def project_others(own: Any, weights: Sequence[nn.Parameter]) -> None:
    """Project other weights as the next step would a sparsifier's own, without a trace in it."""
    layers = [replace(layer, weight=weight) for layer, weight in zip(own.layers, weights, strict=True)]
    if own.frozen is not None:
        for layer, mask in zip(layers, own.masks, strict=True):
            layer.weight.masked_fill_(~mask, 0.0)
        return
    twin = object.__new__(type(own))
    twin.__dict__ = own.__dict__ | {
        "layers": layers,
        "masks": [mask.clone() for mask in own.masks],
        "_counts": [count.clone() for count in own._counts],
        "thresholds": dict(own.thresholds),
        "_projector": None,
    }
    budgets = own.budgets()
    for group, places in own.members().items():
        twin.select(group, places, budgets[group])
