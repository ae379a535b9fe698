"""What each layer of a finished run kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

UNCOUNTED = "embedding"  # a table of rows, not a weight matrix; nothing ever prunes it


@dataclass(frozen=True)
class Layer:
    """What one layer of a finished run kept; a block of a Transformer is one layer."""

    name: str
    nonzeros: int
    weights: int
    prunable: bool

    @property
    def density(self) -> float:
        return self.nonzeros / self.weights


def layers_of(rows: Sequence[dict[str, Any]]) -> tuple[Layer, ...]:
    """The layers of a result; the matrices of one Transformer block (`blocks.0.…`) together."""
    found: dict[str, Layer] = {}
    for row in rows:
        name = row["name"]
        if name == UNCOUNTED:
            continue
        if name.startswith("blocks."):
            name = ".".join(name.split(".")[:2])
        nonzeros, weights, prunable = row["nonzeros"], prod(row["shape"]), row["prunable"]
        if before := found.get(name):
            nonzeros, weights = nonzeros + before.nonzeros, weights + before.weights
            prunable = prunable or before.prunable
        found[name] = Layer(name, nonzeros, weights, prunable)
    return tuple(found.values())
