"""Methods: each holds a network's weights to its own rule after every optimiser step."""

from sparsecore.sparsifiers.hard_threshold import HardThreshold
from sparsecore.sparsifiers.sparsifier import Dense, Layer, NonFiniteWeights, Sparsifier

__all__ = ["Dense", "HardThreshold", "Layer", "NonFiniteWeights", "Sparsifier"]
