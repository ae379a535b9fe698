"""Methods: each holds a network's weights to its own rule after every optimiser step."""

from collections.abc import Mapping

from sparsecore.engine.config import RunConfig, densities_of_layers
from sparsecore.engine.methods.dense import Dense
from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.sparsifier.base import NonFiniteWeights, Sparsifier
from sparsecore.engine.sparsifier.keep_alive import KeepAlive
from sparsecore.engine.sparsifier.layers import Layer
from sparsecore.engine.sparsifier.schedules import Schedule
from sparsecore.engine.sparsifier.schedules import make as make_schedule


def make(config: RunConfig) -> Sparsifier:
    """The sparsifier of a config's method, with its schedule, mode, floors and freezing."""
    if config.method == "dense":
        return Dense()
    return HardThreshold(
        density_of(config),
        scope="global" if config.method == "global" else "layer",
        exempt=_exempt(config),
        mode=config.mode,
        keep_alive=floors_of(config),
        freeze_at=config.freeze_at,
        freeze_settled=config.freeze_settled or None,
    )


def density_of(config: RunConfig) -> Schedule | Mapping[str, float]:
    """The density of every step: from `schedule_start` to `density` over `schedule_steps`, or constant.

    With `layer_densities` a density for each layer; those that it doesn't name have `density`.
    """
    if config.layer_densities is not None:
        return densities_of_layers(config.layer_densities) | {"*": config.density}
    return make_schedule(config.schedule, config.schedule_start, config.density, config.schedule_steps)


def _exempt(config: RunConfig) -> tuple[str, ...] | None:
    """The method's own exempt layers, but for those that are given a density by name."""
    if config.layer_densities is None:
        return None
    return ("first", "last", *(f"!{name}" for name in densities_of_layers(config.layer_densities)))


def floors_of(config: RunConfig) -> KeepAlive:
    """The floors of a config."""
    return KeepAlive(layer=config.keep_alive_layer, neuron=config.keep_alive)


__all__ = [
    "Dense",
    "HardThreshold",
    "Layer",
    "NonFiniteWeights",
    "Sparsifier",
    "density_of",
    "floors_of",
    "make",
]
