"""How the weights of each layer are spread, before the projection and after it: histograms for a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sparsecore.engine.sparsifier.base import Sparsifier
from sparsecore.engine.training.events import SPREAD_BINS
from sparsecore.engine.training.frame import drawn_layers, whole

HALF = SPREAD_BINS // 2  # bins on either side of zero
EDGES = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)  # times a power of ten: an axis that rarely changes
ROUNDING = 1e-6  # of a magnitude that was an edge in float32


@torch.no_grad()
def spreads(
    sparsifier: Sparsifier, before: Sequence[Tensor | None] | None
) -> tuple[dict[str, np.ndarray], float]:
    """Two histograms a drawn matrix i, and the edge of them all.

    `spread.kept.i`: of what was kept, whose value the projection left alone. `spread.cut.i`: of what was cut,
    at the value it had before (`uncut`); together they are the weights before the cut. Without `before` there
    is no second one. Unsigned integers, SPREAD_BINS each; the bins are those of `counted`.
    """
    drawn = []
    for place in drawn_layers(sparsifier):
        weight, mask = sparsifier.layers[place].weight.detach(), sparsifier.masks[place]
        z = None if before is None else before[place]
        drawn.append((weight if z is None else torch.where(mask, weight, z), mask))
    edge = edge_of(max(float(values.abs().max()) for values, _ in drawn))
    arrays: dict[str, np.ndarray] = {}
    for index, (values, mask) in enumerate(drawn):
        kept, cut = counted(values, mask, edge)
        arrays[f"spread.kept.{index}"] = whole(kept)
        if before is not None:
            arrays[f"spread.cut.{index}"] = whole(cut)
    return arrays, edge


def edge_of(largest: float) -> float:
    """A round number that no magnitude up to `largest` exceeds; 1 for none.

    >>> [edge_of(each) for each in (0.0, 0.2, 0.21, 1.0, 8.0)]
    [1.0, 0.2, 0.3, 1.0, 10.0]
    """
    if not 0 < largest < math.inf:
        return 1.0
    power = math.floor(math.log10(largest))
    edges = [float(f"{share}e{power}") for share in EDGES]
    return next(edge for edge in edges if largest <= edge * (1 + ROUNDING))


def counted(values: Tensor, kept: Tensor, edge: float) -> np.ndarray:
    """How many of those kept, and of the others, lie in each bin from -edge to edge; (2, SPREAD_BINS).

    Bin HALF + k holds edge·(k/HALF)² ≤ value < edge·((k+1)/HALF)², and HALF - 1 - k the same below zero: fine
    where the threshold lies, wide where few weights are. The edge itself is in the last bin.

    >>> w = torch.tensor([-1.0, -0.0001, 0.0, 0.0009, 0.001, 0.25, 1.0])
    >>> found = counted(w, w > 0.1, 1.0)
    >>> [{int(place): int(part[place]) for place in part.nonzero()[0]} for part in found]
    [{48: 1, 63: 1}, {0: 1, 31: 1, 32: 2, 33: 1}]
    """
    inner = torch.tensor([edge * (k / HALF) ** 2 for k in range(1, HALF)], device=values.device)
    place = torch.bucketize(values.abs().float(), inner, right=True, out_int32=True)
    place.bitwise_xor_((values < 0).int().neg_())  # below zero -1 - k
    place.add_((~kept).int(), alpha=SPREAD_BINS).add_(HALF)
    found = torch.bincount(place.flatten(), minlength=2 * SPREAD_BINS)
    return found.cpu().numpy().reshape(2, SPREAD_BINS)
