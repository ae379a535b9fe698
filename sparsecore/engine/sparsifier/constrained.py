"""The constraint ‖w‖₀ ≤ s: how many weights stay, of the network or of each layer, and which must."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from sparsecore.engine.config import RunConfig
from sparsecore.engine.parameters import densities_of_layers
from sparsecore.engine.sparsifier import schedules
from sparsecore.engine.sparsifier.base import Sparsifier
from sparsecore.engine.sparsifier.budgets import check_density, erk, mapping, uniform
from sparsecore.engine.sparsifier.layers import Layer, Selection, group_shapes, group_sizes, spared
from sparsecore.engine.sparsifier.schedules import Constant, Schedule

SIGNED = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # bytes of a weight → its bits


@dataclass(frozen=True)
class KeepAlive:
    """The least number of weights kept in every layer, and in the row of every output neuron.

    The exact total stays what the budget says: a floor moves weights, it adds none. Where a layer or a row
    has fewer weights than its floor, all of it is kept. 0 and 0 is no floor.

    Raises `ValueError` for a negative or broken number.
    """

    layer: int = 0
    neuron: int = 0

    def __post_init__(self) -> None:
        for name in ("layer", "neuron"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"keep_alive takes whole numbers from 0; got {name}={value!r}.")

    def __bool__(self) -> bool:
        return self.layer > 0 or self.neuron > 0

    def total(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """Count the weights that the minimums reserve in weights of these shapes, (outputs, …).

        >>> KeepAlive(neuron=1, layer=5).total([(3, 4), (8, 2)])
        13
        """
        total = 0
        for outputs, *inputs in shapes:
            row = torch.Size(inputs).numel()
            total += min(outputs * row, max(self.layer, outputs * min(self.neuron, row)))
        return total


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

    def follow(self, config: RunConfig, before: RunConfig) -> None:
        super().follow(config, before)
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
        held = [layer.prunable and layer.block not in free for layer in layers]
        if not any(held):
            raise ValueError("there is no layer to prune: all layers are exempt.")
        names = ["global" if self.scope == "global" else layer.block for layer in layers]
        return [name if taken else None for name, taken in zip(names, held, strict=True)]

    def budgets(self) -> dict[str, int]:
        if isinstance(self._density, Mapping):
            return mapping(self._density, group_sizes(self.layers))
        if self.distribution == "erk":
            return erk(self.density, group_shapes(self.layers))
        return uniform(self.density, group_sizes(self.layers))

    # -- who ----------------------------------------------------------------------------------------------

    def floors_exceed(self, places: Sequence[int], keep: int) -> bool:
        """Whether the floors of these layers together ask for more than `keep` weights."""
        pairs = zip(places, self._floors(places), strict=True)
        return sum(floor.total([tuple(self.layers[p].weight.shape)]) for p, floor in pairs) > keep

    def _floors(self, places: Sequence[int]) -> list[KeepAlive]:
        """The minimum of each layer: that of `keep_alive`, or what the layer itself needs."""
        own, floors = self.keep_alive, [self.layers[p].floors for p in places]
        return [KeepAlive(max(own.layer, layer), max(own.neuron, row)) for layer, row in floors]

    def _minimum(self, places: Sequence[int]) -> list[Tensor]:
        pairs = zip(places, self._floors(places), strict=True)
        return [reserve(self.layers[p].weight, floor) for p, floor in pairs]

    def _has_floors(self, places: Sequence[int]) -> bool:
        return bool(self.keep_alive) or any(self.layers[p].floors[0] for p in places)

    def relaxed(self) -> list[str]:
        """Return the groups with a larger minimum than budget, where the minimum is relaxed."""
        budgets = self.budgets()
        return [
            group for group, places in self.members().items() if self.floors_exceed(places, budgets[group])
        ]

    def reserved(self, group: str, places: Sequence[int], keep: int) -> list[Tensor] | None:
        if not self._has_floors(places) or self.floors_exceed(places, keep):
            return None
        return self._minimum(places)

    def scores(self, group: str, places: Sequence[int], keep: int) -> list[Tensor] | None:
        """|w|; where the floors ask for more than the budget, of what they ask for only."""
        if not self._has_floors(places) or not self.floors_exceed(places, keep):
            return None
        if normed := [self.layers[p].name for p in places if self.layers[p].floors[0]]:
            raise ValueError(
                f"the budget of {keep:,} in {group} leaves rows without a weight, which weight_norm or "
                f"spectral_norm of {', '.join(normed)} would divide by 0: raise the density or exempt them."
            )
        if not self._warned:
            self._warned = True
            excess = f"keep_alive reserves more weights in {group} than its budget of {keep:,}"
            warnings.warn(f"{excess}: the largest are kept.", stacklevel=2)
        weights = [self.layers[p].weight.detach() for p in places]
        minimum = self._minimum(places)
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


def reserve(weight: Tensor, floor: KeepAlive) -> Tensor:
    """Select the largest weights of a tensor (outputs, …) that satisfy the minimums: a boolean mask.

    Of each row the largest `floor.neuron`; then the largest others until there are `floor.layer`.
    With these first and the largest of the rest after them, the projection stays exact: the minimums are
    nested (row in layer in group), and for nested minimums taking the largest, inside out, is optimal.
    Ties go to the lower index.

    >>> reserve(torch.tensor([[5.0, 4.0], [1.0, 2.0]]), KeepAlive(neuron=1)).tolist()
    [[True, False], [False, True]]
    """
    # Magnitudes order as their bits do, and one bit pattern above infinity's marks what is taken already.
    integer = SIGNED[weight.element_size()]
    bits = weight.detach().contiguous().view(integer) & torch.iinfo(integer).max
    rows = bits.reshape(len(bits), -1)
    taken = _largest(rows, floor.neuron)
    if floor.layer > int(taken.count_nonzero()):
        marked = rows.masked_fill(taken, torch.iinfo(integer).max)
        taken = _largest(marked.reshape(1, -1), floor.layer).view_as(rows)
    return taken.view(weight.shape)


def _largest(rows: Tensor, count: int) -> Tensor:
    """Where the `count` largest of each row are; equal ones by index."""
    count = min(count, rows.shape[1])
    if count == 0:
        return torch.zeros_like(rows, dtype=torch.bool)
    least = rows.topk(count, dim=1, sorted=False).values.min(dim=1, keepdim=True).values
    above, equal = rows > least, rows == least
    missing = count - above.sum(dim=1, keepdim=True)
    return above | (equal & (equal.cumsum(dim=1) <= missing))
