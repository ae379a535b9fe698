"""The parameters as they were before a step: how far it went, and the way back when it went wrong."""

from __future__ import annotations

import torch
from torch import nn


class BeforeStep:
    """Copies of all parameters of a model, saved before a step."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.parameters = list(model.parameters())
        self.saved = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def save(self) -> None:
        """Remember the present parameters."""
        for saved, parameter in zip(self.saved, self.parameters, strict=True):
            saved.copy_(parameter)

    @torch.no_grad()
    def restore(self) -> None:
        """Go back to what was saved."""
        for saved, parameter in zip(self.saved, self.parameters, strict=True):
            parameter.copy_(saved)

    def moved(self) -> float:
        """‖wᵏ⁺¹ − wᵏ‖ over all parameters, after the projection."""
        pairs = zip(self.parameters, self.saved, strict=True)
        return float(torch.nn.utils.get_total_norm([now.detach() - saved for now, saved in pairs]))

    def non_finite_layer(self) -> str:
        """The first module with a NaN or an infinite weight or bias."""
        named = self.model.named_parameters()
        return next((name.rpartition(".")[0] for name, p in named if not p.isfinite().all()), "")
