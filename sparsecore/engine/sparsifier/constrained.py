"""The constraint ‖w‖₀ ≤ s: how many weights stay, of the network or of each layer, and which must."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from sparsecore.engine.config import RunConfig, densities_of_layers
from sparsecore.engine.sparsifier import schedules
from sparsecore.engine.sparsifier.base import Sparsifier
from sparsecore.engine.sparsifier.budgets import check_density, erk, mapping, uniform
from sparsecore.engine.sparsifier.keep_alive import KeepAlive, reserve
from sparsecore.engine.sparsifier.layers import Layer, Selection, group_shapes, group_sizes, spared
from sparsecore.engine.sparsifier.schedules import Constant, Schedule


class Constrained(Sparsifier):
    """Exactly s = round(ρ·K) weights survive every step: those of the largest scores, |w| by default.

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
    keep_alive: the least number of weights kept a layer and an output neuron, within the same total: a
      `KeepAlive`, or a whole number for both. When the floors together exceed a budget, the largest of the
      weights that they name stay, and a warning says so once.
    freeze_at, freeze_settled: fix the support at this step, or once it has not moved for this many steps.

    Raises `ValueError` for values outside these, and when no layer is left to prune.
    """

    def __init__(
        self,
        density: float | Schedule | Mapping[str, float],
        scope: Literal["global", "layer"] = "global",
        exempt: Sequence[str] | None = None,
        *,
        layers: Selection | None = None,
        distribution: Literal["uniform", "erk"] = "uniform",
        keep_alive: KeepAlive | int = 0,
        freeze_at: int | None = None,
        freeze_settled: int | None = None,
    ) -> None:
        super().__init__(layers)
        one_of("scope", scope, ("global", "layer"))
        one_of("distribution", distribution, ("uniform", "erk"))
        if scope == "global" and distribution != "uniform":
            raise ValueError("a distribution over layers needs scope='layer'; a global budget has none.")
        self.scope, self.distribution = scope, distribution
        self.exempt = tuple(exempt) if exempt is not None else ("first", "last") if scope == "layer" else ()
        self.density = density
        self.keep_alive = keep_alive
        self.freeze_at, self.freeze_settled = freeze_at, freeze_settled
        self._warned = False

    # -- the config of a run ------------------------------------------------------------------------------

    @classmethod
    def arguments(cls, config: RunConfig) -> dict[str, Any]:
        return {
            "density": _density_of(config),
            "exempt": _exempt(config),
            "keep_alive": _floors_of(config),
            "freeze_at": config.freeze_at,
            "freeze_settled": config.freeze_settled or None,
        }

    def follow(self, config: RunConfig, before: RunConfig, own: Sequence[str] = ()) -> None:
        super().follow(config, before, own)
        self.keep_alive, self.freeze_at = _floors_of(config), config.freeze_at
        if config.density != before.density:
            self.unfreeze()  # a frozen support is chosen anew, once, for another density
            self.density = _density_of(config)
        elif config.freeze_at is None and before.freeze_at is not None:
            self.unfreeze()
        elif config.freeze_at is not None and 0 < self.step >= config.freeze_at:
            self.freeze()

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
            raise ValueError("the support is frozen: call unfreeze() before changing the density.")
        if isinstance(density, Mapping) and self.scope == "global":
            raise ValueError("a density per layer needs scope='layer'.")
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
            raise ValueError("there is no layer to prune: all layers are exempt.")
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
        """Return the groups with a larger minimum than budget, where the minimum is relaxed."""
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
            excess = f"keep_alive reserves more weights in {group} than its budget of {keep:,}"
            warnings.warn(f"{excess}: the largest are kept.", stacklevel=2)
        weights = [self.layers[p].weight.detach() for p in places]
        minimum = reserve(weights, self.keep_alive)
        # A NaN stays one, wherever it is: the projection refuses it.
        return [
            w.abs().masked_fill_(~(mask | w.isnan()), 0.0) for w, mask in zip(weights, minimum, strict=True)
        ]


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise `ValueError` for a value that is not one of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}.")


def _density_of(config: RunConfig) -> Schedule | Mapping[str, float]:
    """The density of every step: from `schedule_start` to `density` over `schedule_steps`, or constant.

    With `layer_densities` a density for each layer; those that it does not name have `density`.
    """
    if config.layer_densities is not None:
        return densities_of_layers(config.layer_densities) | {"*": config.density}
    return schedules.make(config.schedule, config.schedule_start, config.density, config.schedule_steps)


def _exempt(config: RunConfig) -> tuple[str, ...] | None:
    """The method's own exempt layers, but for those that are given a density by name."""
    if config.layer_densities is None:
        return None
    return ("first", "last", *(f"!{name}" for name in densities_of_layers(config.layer_densities)))


def _floors_of(config: RunConfig) -> KeepAlive:
    return KeepAlive(layer=config.keep_alive_layer, neuron=config.keep_alive)
