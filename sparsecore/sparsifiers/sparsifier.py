"""The base of every method: finds the weights, hooks the optimiser, counts who was kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

import torch
from torch import Tensor, nn

from sparsecore.projection import NotANumber, project_


class NonFiniteWeights(ArithmeticError):
    """An optimiser step left a NaN in a weight; `layer` names the parameter. Nothing was projected."""

    def __init__(self, layer: str) -> None:
        self.layer = layer
        super().__init__(f"the weight {layer} holds a NaN after the optimiser's step; nothing was changed.")


@dataclass(frozen=True)
class Layer:
    """One weight matrix of the network.

    block: the layer it belongs to for a layerwise budget: itself, or a whole block of modules.
    group: the budget it shares; None when it is exempt.
    """

    name: str
    weight: nn.Parameter
    block: str
    prunable: bool
    group: str | None


class Sparsifier(ABC):
    """Holds the weights to a rule after every step of any `torch.optim` optimiser.

    A method overrides `groups`, which says who shares which budget, and `budgets`. After `attach`, the
    training loop stays as it is: a hook projects after each `optimizer.step()`.

    layers: every weight matrix in the order of the network, embeddings included (never prunable).
    counts: the retention count of every weight of `layers`, int32 of its shape: steps it was kept after.
    masks: what the last projection kept; all True for an exempt layer.
    thresholds: the magnitude that the last weight of each group had to reach.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.counts: list[Tensor] = []
        self.masks: list[Tensor] = []
        self.kept: list[int] = []
        self.thresholds: dict[str, float] = {}
        self._handle = None

    @abstractmethod
    def groups(self, layers: Sequence[Layer]) -> list[str | None]:
        """The budget that each layer shares, None for an exempt one."""

    @abstractmethod
    def budgets(self) -> dict[str, int]:
        """The exact number of weights each group keeps."""

    def attach(self, model: nn.Module, optimizer: torch.optim.Optimizer, blocks: Sequence[str] = ()) -> Self:
        """Hook the optimiser; `blocks` are glob patterns of modules that each count as one layer.

        Raises `ValueError` when attached already, or when the model has no weight matrix to prune.
        """
        if self._handle is not None:
            raise ValueError("this sparsifier is attached already; detach() it first.")
        found = _find_layers(model, blocks)
        if not any(layer.prunable for layer in found):
            raise ValueError("the model has no prunable weights: it needs at least one nn.Linear.")
        groups = self.groups(found)
        self.layers = [
            Layer(layer.name, layer.weight, layer.block, layer.prunable, group)
            for layer, group in zip(found, groups, strict=True)
        ]
        self.counts = [torch.zeros_like(layer.weight, dtype=torch.int32) for layer in self.layers]
        self.masks = [torch.ones_like(layer.weight, dtype=torch.bool) for layer in self.layers]
        self.kept = [layer.weight.numel() for layer in self.layers]
        self._handle = optimizer.register_step_post_hook(lambda *_: self.project())
        return self

    def detach(self) -> None:
        """Leave ordinary parameters: no step is projected any more."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def members(self) -> dict[str, list[int]]:
        """The places in `layers` of each group's weights."""
        members: dict[str, list[int]] = {}
        for place, layer in enumerate(self.layers):
            if layer.group is not None:
                members.setdefault(layer.group, []).append(place)
        return members

    def project(self) -> None:
        """w ← H_s(w) for every group, then count. The hook calls it; nobody else needs to."""
        budgets = self.budgets()
        with torch.no_grad():
            for group, places in self.members().items():
                try:
                    done = project_([self.layers[p].weight for p in places], budgets[group])
                except NotANumber as error:
                    raise NonFiniteWeights(self.layers[places[error.position]].name) from error
                self.thresholds[group] = done.threshold
                for place, mask, kept in zip(places, done.masks, done.kept, strict=True):
                    self.masks[place], self.kept[place] = mask, kept
            for count, mask in zip(self.counts, self.masks, strict=True):
                count.add_(mask)

    def constrained(self) -> int:
        """K: the number of weights under the constraint."""
        return sum(layer.weight.numel() for layer in self.layers if layer.group is not None)


class Dense(Sparsifier):
    """No constraint: every weight stays. The budget is every prunable weight."""

    def groups(self, layers: Sequence[Layer]) -> list[str | None]:
        return ["all" if layer.prunable else None for layer in layers]

    def budgets(self) -> dict[str, int]:
        return {"all": self.constrained()}

    def project(self) -> None:
        for count in self.counts:
            count.add_(1)


def group_sizes(layers: Sequence[Layer]) -> dict[str, int]:
    """How many weights share each budget."""
    sizes: dict[str, int] = {}
    for layer in layers:
        if layer.group is not None:
            sizes[layer.group] = sizes.get(layer.group, 0) + layer.weight.numel()
    return sizes


def _find_layers(model: nn.Module, blocks: Sequence[str]) -> list[Layer]:
    """Every weight matrix once, in the order of the network; a tied weight counts where it is first seen."""
    found: list[Layer] = []
    for name, module in model.named_modules(remove_duplicate=True):
        if not isinstance(module, nn.Linear | nn.Embedding):
            continue
        if any(layer.weight is module.weight for layer in found):
            continue
        prunable = isinstance(module, nn.Linear)
        found.append(Layer(name, module.weight, _block_of(name, blocks), prunable, None))
    return found


def _block_of(name: str, patterns: Sequence[str]) -> str:
    """The outermost module around `name` that a pattern matches, else the module itself."""
    parts = name.split(".")
    prefixes = [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    for prefix in prefixes:
        # fnmatch lets * cross dots; a pattern means modules at its own depth only.
        if any(p.count(".") == prefix.count(".") and fnmatchcase(prefix, p) for p in patterns):
            return prefix
    return name
