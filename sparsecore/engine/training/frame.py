"""Make the arrays of a frame: for every weight matrix its mask, retention counts, values and histograms.

`frame_layout` says what they are called and what they contain.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sparsecore.engine.sparsifier.base import Sparsifier
from sparsecore.engine.training.frame_layout import (
    FULL,
    SPREAD_BINS,
    exact_matrix,
    indexed,
    matrix_entry,
    whole,
)

MAX_CELLS = 98_304  # a frame's cells over all matrices: 0.7 MB at most, sent several times a second
SIDES = (1024, 512, 256, 128, 64, 32, 16)  # longest side of a matrix when it has to be drawn from block means


def layers_now(sparsifier: Sparsifier) -> list[dict[str, Any]]:
    """Name, shape and share of non-zeros of every weight matrix, as the command line prints them."""
    rows = []
    for layer, kept in zip(sparsifier.layers, sparsifier.kept, strict=True):
        nonzeros = int(layer.weight.count_nonzero())
        rows.append(
            {
                "name": layer.name,
                "shape": list(layer.weight.shape),
                "prunable": layer.group is not None,
                "nonzeros": nonzeros,
                "density": nonzeros / layer.weight.numel(),
                "kept": kept,
                "group": layer.group,
                "block": layer.block,
            }
        )
    return rows


def drawn_layers(sparsifier: Sparsifier) -> list[int]:
    """The places of the matrices that a frame shows: all but embeddings."""
    return [place for place, layer in enumerate(sparsifier.layers) if layer.prunable]


def matrices(sparsifier: Sparsifier) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """The arrays of the drawn matrices, and their descriptions.

    A small network is exact, with its biases: enough to compute what each neuron does. A larger one is drawn
    in blocks of weights.
    """
    places = drawn_layers(sparsifier)
    pools = _pools([tuple(sparsifier.layers[p].weight.shape) for p in places])
    arrays: dict[str, np.ndarray] = {}
    entries = []
    for index, (place, pool) in enumerate(zip(places, pools, strict=True)):
        layer, mask, count = sparsifier.layers[place], sparsifier.masks[place], sparsifier.counts[place]
        weight, bias = layer.weight.detach(), getattr(layer.module, "bias", None)
        if pool == (1, 1):
            drawn = exact_matrix(*(each.cpu().numpy() for each in (mask, count, weight.float())))
            if isinstance(bias, Tensor):
                drawn["bias"] = bias.detach().cpu().float().numpy()
        else:
            drawn = _pooled(weight, mask, count, pool)
        arrays |= indexed(index, drawn)
        entries.append(matrix_entry(place, weight.shape, pool))
    return arrays, entries


def _pooled(weight: Tensor, mask: Tensor, count: Tensor, pool: tuple[int, int]) -> dict[str, np.ndarray]:
    def mean(x: Tensor) -> Tensor:
        x = x.float()[None, None]
        return functional.avg_pool2d(x, pool, ceil_mode=True, count_include_pad=False)[0, 0]

    largest = functional.max_pool2d(weight.float()[None, None], pool, ceil_mode=True)[0, 0]
    smallest = -functional.max_pool2d(-weight.float()[None, None], pool, ceil_mode=True)[0, 0]
    value = torch.where(largest.abs() >= smallest.abs(), largest, smallest)
    return {
        "count": whole(np.rint(mean(count).cpu().numpy())),
        "mask": np.rint(mean(mask).cpu().numpy() * FULL).astype(np.uint8),
        "value": value.cpu().numpy(),
    }


def _pools(shapes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The block size of each matrix, so that all drawn cells together stay within MAX_CELLS."""
    if sum(rows * cols for rows, cols in shapes) <= MAX_CELLS:
        return [(1, 1)] * len(shapes)
    for side in SIDES:
        pools = [(-(-rows // side), -(-cols // side)) for rows, cols in shapes]
        cells = sum(
            -(-rows // down) * -(-cols // across)
            for (rows, cols), (down, across) in zip(shapes, pools, strict=True)
        )
        if cells <= MAX_CELLS:
            break
    return pools


# -- How the weights of each layer are spread, before the projection and after it: histograms for a frame


HALF = SPREAD_BINS // 2  # bins on either side of zero
EDGES = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)  # times a power of ten: an axis that rarely changes
ROUNDING = 1e-6  # of a magnitude that was an edge in float32


@torch.no_grad()
def spreads(
    sparsifier: Sparsifier, before: Sequence[Tensor | None] | None
) -> tuple[dict[str, np.ndarray], float]:
    """Two histograms for each drawn matrix, and the edge of all: of the kept weights and of the cut ones.

    The cut ones are counted at the value that they had before the cut (`uncut`): both together are all
    weights before it. Without `before` there is no second histogram. The bins are those of `counted`.
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
        parts = {"spread.kept": kept} if before is None else {"spread.kept": kept, "spread.cut": cut}
        arrays |= indexed(index, {name: whole(part) for name, part in parts.items()})
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
