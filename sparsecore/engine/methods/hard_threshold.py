"""Iterative hard thresholding: after each step, keep the s largest magnitudes (thesis, section 2.2)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from sparsecore.engine.projection.project import project_
from sparsecore.engine.sparsifier.base import Sparsifier
from sparsecore.engine.sparsifier.budgets import check_density, erk, mapping, uniform
from sparsecore.engine.sparsifier.keep_alive import KeepAlive, reserve
from sparsecore.engine.sparsifier.layers import Layer, Selection, group_shapes, group_sizes, spared
from sparsecore.engine.sparsifier.schedules import Constant, Schedule


class HardThreshold(Sparsifier):
    """w ← H_s(w − γ∇h(w)): exactly s = round(ρ·K) weights survive every step; pruned ones may return.

    density: ρ in (0, 1]; or a schedule, a function of the step (`sparsifier.schedules`); or, with scope
      "layer", a mapping from glob patterns on layer names to densities. May be set while training, and holds
      from the next step.
    scope: "global", one budget over all prunable weights, or "layer", a budget for each layer.
    exempt: layers under no constraint: "first", "last", glob patterns; "!pattern" takes back what others
      before it named. Default: with scope "layer" the first and the last, as in the thesis; "global" none.
    layers: which weights are prunable: glob patterns on module names, module types, functions
      (name, module) → bool, or a list of these. Default: linear and convolution layers.
    distribution: with scope "layer", "uniform" gives each layer the same density, "erk" (Evci et al., 2020)
      gives small layers more, with the same total.
    mode: "iht" projects the iterate. "latent" projects a copy for the forward and backward pass and keeps the
      dense iterate for the optimiser (straight-through); a pruned weight then keeps its magnitude.
    keep_alive: the least number of weights kept a layer and an output neuron, within the same total: a
      `KeepAlive`, or a whole number for both. When the floors together exceed a budget, the largest of what
      they ask for stay, and a warning says so once.
    freeze_at, freeze_settled: fix the support at this step, or once it has not moved for so many steps.

    Raises `ValueError` for values outside these, and when no layer is left to prune.

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
        density: float | Schedule | Mapping[str, float],
        scope: Literal["global", "layer"] = "global",
        exempt: Sequence[str] | None = None,
        *,
        layers: Selection | None = None,
        distribution: Literal["uniform", "erk"] = "uniform",
        mode: Literal["iht", "latent"] = "iht",
        keep_alive: KeepAlive | int = 0,
        freeze_at: int | None = None,
        freeze_settled: int | None = None,
    ) -> None:
        super().__init__(layers)
        _one_of("scope", scope, ("global", "layer"))
        _one_of("distribution", distribution, ("uniform", "erk"))
        _one_of("mode", mode, ("iht", "latent"))
        if scope == "global" and distribution != "uniform":
            raise ValueError("a global budget has no distribution over layers: it needs scope='layer'.")
        self.scope, self.distribution, self.mode = scope, distribution, mode
        self.exempt = tuple(exempt) if exempt is not None else ("first", "last") if scope == "layer" else ()
        self.density = density
        self.keep_alive = keep_alive
        self.freeze_at, self.freeze_settled = freeze_at, freeze_settled
        self._warned = False
        self._dense: dict[int, Tensor] = {}  # place in `layers` → the iterate that the optimiser moves

    # -- how many -----------------------------------------------------------------------------------------

    @property
    def density(self) -> float:
        """ρ at the present step; of a mapping, kept over all weights under the constraint."""
        if isinstance(self._density, Mapping):
            return sum(self.budgets().values()) / self.constrained() if self.layers else float("nan")
        return check_density(self._density(self.step))

    @density.setter
    def density(self, density: float | Schedule | Mapping[str, float]) -> None:
        if self.frozen is not None:
            raise ValueError("the support is frozen: unfreeze() before another density.")
        if isinstance(density, Mapping) and self.scope == "global":
            raise ValueError("a density for each layer needs scope='layer'.")
        if not isinstance(density, Mapping) and not callable(density):
            density = Constant(check_density(density))
        before = getattr(self, "_density", None)
        self._density = density
        try:
            if self.layers:
                self.budgets()
        except ValueError:
            self._density = before
            raise

    @property
    def keep_alive(self) -> KeepAlive:
        return self._keep_alive

    @keep_alive.setter
    def keep_alive(self, floor: KeepAlive | int) -> None:
        self._keep_alive = floor if isinstance(floor, KeepAlive) else KeepAlive(floor, floor)

    def groups(self, layers: Sequence[Layer]) -> list[str | None]:
        free = spared(layers, self.exempt)
        groups = [
            None if not layer.prunable or layer.block in free else self._group(layer) for layer in layers
        ]
        if not any(groups):
            raise ValueError("no layer is left to prune: all of the network is exempt.")
        return groups

    def _group(self, layer: Layer) -> str:
        return "global" if self.scope == "global" else layer.block

    def budgets(self) -> dict[str, int]:
        if isinstance(self._density, Mapping):
            return mapping(self._density, group_sizes(self.layers))
        if self.distribution == "erk":
            return erk(self.density, group_shapes(self.layers))
        return uniform(self.density, group_sizes(self.layers))

    # -- who ----------------------------------------------------------------------------------------------

    def floors_exceed(self, places: Sequence[int], keep: int) -> bool:
        """Whether the floors of these layers together ask for more than `keep` weights."""
        if not self.keep_alive:
            return False
        return self.keep_alive.total([tuple(self.layers[p].weight.shape) for p in places]) > keep

    def relaxed(self) -> list[str]:
        """The groups whose floors ask for more than their budget, and so give way."""
        budgets = self.budgets()
        return [
            group for group, places in self.members().items() if self.floors_exceed(places, budgets[group])
        ]

    def reserved(self, group: str, places: Sequence[int], keep: int) -> list[Tensor] | None:
        if not self.keep_alive or self.floors_exceed(places, keep):
            return None
        return reserve([self.layers[p].weight for p in places], self.keep_alive)

    def scores(self, group: str, places: Sequence[int], keep: int) -> list[Tensor] | None:
        """|w|; where the floors ask for more than the budget, of what they ask for only."""
        if not self.floors_exceed(places, keep):
            return None
        if not self._warned:
            self._warned = True
            text = f"keep_alive asks {group} for more weights than its budget of {keep:,}: the largest stay."
            warnings.warn(text, stacklevel=2)
        weights = [self.layers[p].weight.detach() for p in places]
        asked = reserve(weights, self.keep_alive)
        # A NaN stays one, wherever it is: the projection refuses it.
        return [
            w.abs().masked_fill_(~(mask | w.isnan()), 0.0) for w, mask in zip(weights, asked, strict=True)
        ]

    # -- the dense iterate of the latent mode -------------------------------------------------------------

    def _hook(self, optimizer: torch.optim.Optimizer) -> None:
        super()._hook(optimizer)
        if self.mode == "latent":
            self._handles.append(optimizer.register_step_pre_hook(self._before_step))

    @torch.no_grad()
    def _before_step(
        self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """The optimiser moves the dense iterate; a closure that it calls sees the projected one."""
        if self.frozen is not None:
            return None
        for place, dense in self._dense.items():
            self.layers[place].weight.copy_(dense)
        itself, *rest = args
        wrapped = [self._seeing_projection(value) if callable(value) else value for value in rest]
        named = {k: self._seeing_projection(v) if callable(v) else v for k, v in kwargs.items()}
        return (itself, *wrapped), named

    def _seeing_projection(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        def evaluate() -> Any:
            places = [place for group in self.members().values() for place in group]
            dense = {place: self.layers[place].weight.detach().clone() for place in places}
            self._project_copy()
            result = closure()
            with torch.no_grad():
                for place, iterate in dense.items():
                    self.layers[place].weight.copy_(iterate)
            return result

        return evaluate

    @torch.no_grad()
    def _project_copy(self) -> None:
        """Project the weights as the next step would, without a trace in masks and counts."""
        budgets = self.budgets()
        for group, places in self.members().items():
            weights, keep = [self.layers[p].weight for p in places], budgets[group]
            scores = self.scores(group, places, keep)
            if scores is None:
                project_(weights, keep, reserved=self.reserved(group, places, keep))
                continue
            masks = [torch.zeros_like(score, dtype=torch.bool) for score in scores]
            project_(scores, keep, masks=masks)
            for weight, mask in zip(weights, masks, strict=True):
                weight.masked_fill_(~mask, 0.0)

    @torch.no_grad()
    def project(self) -> None:
        if self.mode == "latent" and self.frozen is None:
            for places in self.members().values():
                for place in places:
                    self._dense[place] = self.layers[place].weight.detach().clone()
        super().project()

    def iterate(self, place: int) -> Tensor | None:
        """In the latent mode what the optimiser last moved in place of this layer's weight; else None."""
        return self._dense.get(place)

    def freeze(self) -> None:
        super().freeze()
        self._dense.clear()  # from here on the weights are the iterate

    def detach(self) -> None:
        super().detach()
        self._dense.clear()

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"dense": {place: w.clone() for place, w in self._dense.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._dense = {
            place: dense.to(self.layers[place].weight, copy=True) for place, dense in state["dense"].items()
        }


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}.")
