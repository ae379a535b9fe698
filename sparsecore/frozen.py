"""Layers whose support is fixed: pruned weights get no gradient, keep no optimiser state, and stay zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class FrozenLayers:
    """The layers of a model whose support is fixed.

    modules: of each layer the module, its weight, and a boolean mask of the weight's shape, True where it is
    in the support. Pruned weights, their gradients and what `optimizer` remembers of them are zero from here
    on; the products stay dense. A copy or a pickle stays frozen together with its weights.
    """

    def __init__(
        self, modules: Sequence[tuple[nn.Module, nn.Parameter, Tensor]], optimizer: torch.optim.Optimizer
    ) -> None:
        self.layers = [(weight, mask.clone()) for _, weight, mask in modules]
        self.lifting = False
        self._handles: list[Any] = []
        self._hook()
        for weight, mask in self.layers:
            weight.detach().masked_fill_(~mask, 0.0)
            mask_optimizer_state(optimizer, weight, mask)

    def _hook(self) -> None:
        self._handles = [
            weight.register_hook(lambda gradient, mask=mask: gradient if self.lifting else gradient * mask)
            for weight, mask in self.layers
        ]

    @torch.no_grad()
    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Make pruned weights exactly 0 again: weight decay of some optimisers moves them."""
        for weight, mask in self.layers:
            weight.masked_fill_(~mask, 0.0)

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """For a while, gradients of pruned weights are computed as if nothing were frozen."""
        self.lifting = True
        try:
            yield
        finally:
            self.lifting = False

    def release(self) -> None:
        """Back to ordinary layers."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handles": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._hook()


@torch.no_grad()
def mask_optimizer_state(optimizer: torch.optim.Optimizer, weight: nn.Parameter, mask: Tensor) -> None:
    """Zero what the optimiser remembers of pruned weights: every state tensor of the weight's shape."""
    for state in optimizer.state.get(weight, {}).values():
        if isinstance(state, Tensor) and state.shape == weight.shape:
            state.masked_fill_(~mask, 0.0)
