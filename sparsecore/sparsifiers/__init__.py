"""Methods: each holds a network's weights to its own rule after every optimiser step."""

from sparsecore.config import RunConfig
from sparsecore.floors import KeepAlive
from sparsecore.schedules import Schedule
from sparsecore.schedules import make as make_schedule
from sparsecore.sparsifiers.dense import Dense
from sparsecore.sparsifiers.hard_threshold import HardThreshold
from sparsecore.sparsifiers.layers import Layer
from sparsecore.sparsifiers.sparsifier import NonFiniteWeights, Sparsifier


def make(config: RunConfig) -> Sparsifier:
    """The sparsifier of a config's method, with its schedule, mode, floors and freezing."""
    if config.method == "dense":
        return Dense()
    return HardThreshold(
        density_of(config),
        scope="global" if config.method == "global" else "layer",
        mode=config.mode,
        keep_alive=floors_of(config),
        freeze_at=config.freeze_at,
        freeze_settled=config.freeze_settled or None,
    )


def density_of(config: RunConfig) -> Schedule:
    """The density of every step: from `schedule_start` to `density` over `schedule_steps`, or constant."""
    return make_schedule(config.schedule, config.schedule_start, config.density, config.schedule_steps)


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
