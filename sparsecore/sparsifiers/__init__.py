"""Methods: each holds a network's weights to its own rule after every optimiser step."""

from sparsecore.sparsifiers.hard_threshold import HardThreshold
from sparsecore.sparsifiers.sparsifier import Dense, Layer, NonFiniteWeights, Sparsifier


def make(method: str, density: float) -> Sparsifier:
    """The sparsifier of a method's name in a config."""
    if method == "dense":
        return Dense()
    return HardThreshold(density, scope="global" if method == "global" else "layer")


__all__ = ["Dense", "HardThreshold", "Layer", "NonFiniteWeights", "Sparsifier", "make"]
