"""Iterative hard thresholding: after each step, keep the s largest magnitudes (thesis, section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sparsecore.budgets import check_density, uniform
from sparsecore.sparsifiers.sparsifier import Layer, Sparsifier, group_sizes


class HardThreshold(Sparsifier):
    """w ← H_s(w − γ∇h(w)): exactly s = round(ρ·K) weights survive every step; pruned ones may return.

    density: ρ in (0, 1]; may be set while training, and holds from the next step.
    scope: "global", one budget over all prunable weights, or "layer", a budget for each layer.
    exempt: with scope "layer", the "first" and the "last" layer that are under no constraint.

    Raises `ValueError` for a density outside (0, 1], an unknown scope, or no layer left to prune.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Linear(8, 2))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> sparsifier = HardThreshold(density=0.25).attach(model, optimizer)
    >>> model(torch.ones(1, 4)).sum().backward(); optimizer.step()
    >>> sum(int(layer.weight.count_nonzero()) for layer in sparsifier.layers)
    12
    """

    def __init__(
        self,
        density: float,
        scope: Literal["global", "layer"] = "global",
        exempt: Sequence[Literal["first", "last"]] = ("first", "last"),
    ) -> None:
        super().__init__()
        if scope not in ("global", "layer"):
            raise ValueError(f"scope must be 'global' or 'layer'; got {scope!r}.")
        if unknown := set(exempt) - {"first", "last"}:
            raise ValueError(f"exempt takes 'first' and 'last'; got {sorted(unknown)}.")
        self.density = density
        self.scope = scope
        self.exempt = tuple(exempt)

    @property
    def density(self) -> float:
        return self._density

    @density.setter
    def density(self, density: float) -> None:
        self._density = check_density(density)

    def groups(self, layers: Sequence[Layer]) -> list[str | None]:
        if self.scope == "global":
            return ["global" if layer.prunable else None for layer in layers]
        blocks = list(dict.fromkeys(layer.block for layer in layers))
        spared = {blocks[0]} if "first" in self.exempt else set()
        spared |= {blocks[-1]} if "last" in self.exempt else set()
        groups = [layer.block if layer.prunable and layer.block not in spared else None for layer in layers]
        if not any(groups):
            raise ValueError("no layer is left to prune: all of the network is exempt.")
        return groups

    def budgets(self) -> dict[str, int]:
        return uniform(self.density, group_sizes(self.layers))
