"""Minimum counts within the budget: weights per layer and per output neuron that always survive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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


def reserve(weights: Sequence[Tensor], floor: KeepAlive) -> list[Tensor]:
    """Select the largest weights that satisfy the minimums: a boolean mask per tensor (outputs, …).

    Of each row the largest `floor.neuron`; then of each tensor the largest others until it has `floor.layer`.
    With these first and the largest of the rest after them, the projection stays exact: the minimums are
    nested (row in layer in group), and for nested minimums taking the largest, inside out, is optimal.
    Ties go to the lower index.

    >>> w = torch.tensor([[5.0, 4.0], [1.0, 2.0]])
    >>> reserve([w], KeepAlive(neuron=1))[0].tolist()
    [[True, False], [False, True]]
    """
    return [_reserve(weight.detach(), floor) for weight in weights]


def _reserve(weight: Tensor, floor: KeepAlive) -> Tensor:
    # Magnitudes order as their bits do, and one bit pattern above infinity's marks what is taken already.
    integer = SIGNED[weight.element_size()]
    bits = weight.contiguous().view(integer) & torch.iinfo(integer).max
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
