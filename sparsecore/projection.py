"""The projection onto {w : ‖w‖₀ ≤ s}: keep the s largest magnitudes, set the rest to zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


class NotANumber(ValueError):
    """A weight is NaN, so magnitudes have no order; `position` is the tensor's place in the list."""

    def __init__(self, position: int) -> None:
        self.position = position
        super().__init__(f"tensor {position} holds a NaN: magnitudes cannot be ordered, nothing was changed.")


@dataclass(frozen=True)
class Projection:
    """What a projection did.

    masks: a boolean tensor for each weight tensor, of its shape, True where the weight was kept.
    kept: how many positions were kept in each tensor; they sum to the budget exactly.
    threshold: the s-th largest magnitude; infinite for a budget of 0.
    """

    masks: tuple[Tensor, ...]
    kept: tuple[int, ...]
    threshold: float


def project_(tensors: Sequence[Tensor], keep: int) -> Projection:
    """Keep the `keep` largest magnitudes over all tensors jointly, in place, and set the rest to zero.

    H_s of Beck & Eldar (2013). Exactly `keep` positions survive whatever the values; of equal magnitudes
    the one with the lower index (tensors in order, row by row) survives.

    Raises `NotANumber` before anything is changed, and `ValueError` for a budget outside 0..K.

    >>> w = torch.tensor([3.0, -1.0, 2.0, -2.0])
    >>> project_([w], keep=2).threshold
    2.0
    >>> w
    tensor([3., 0., 2., 0.])
    """
    sizes = [tensor.numel() for tensor in tensors]
    if not 0 <= keep <= sum(sizes):
        raise ValueError(f"keep must be from 0 to {sum(sizes):,}, the number of weights; got {keep}.")
    with torch.no_grad():
        magnitude = torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).abs_()
        _refuse_nan(magnitude, sizes)
        if keep == 0:
            mask, threshold = torch.zeros_like(magnitude, dtype=torch.bool), math.inf
        elif magnitude.device.type == "cpu" and magnitude.dtype == torch.float32:
            mask, threshold = _support_by_bits(magnitude.numpy().view(np.int32), keep)
        else:
            mask, threshold = _support(magnitude, keep)
        masks = tuple(
            part.view(tensor.shape) for part, tensor in zip(mask.split(sizes), tensors, strict=True)
        )
        for tensor, part in zip(tensors, masks, strict=True):
            tensor.masked_fill_(~part, 0.0)
    return Projection(masks, tuple(int(part.count_nonzero()) for part in masks), threshold)


def _refuse_nan(magnitude: Tensor, sizes: Sequence[int]) -> None:
    # A maximum carries a NaN along, so one reduction finds it without a boolean copy of the weights.
    if magnitude.numel() and math.isnan(magnitude.max()):
        parts = magnitude.split(list(sizes))
        raise NotANumber(next(i for i, part in enumerate(parts) if bool(part.isnan().any())))


def _support_by_bits(bits: np.ndarray, keep: int) -> tuple[Tensor, float]:
    """The support of the `keep` largest; non-negative floats order as their bit patterns do."""
    if keep == bits.size:
        return torch.ones(bits.size, dtype=torch.bool), float(bits.min().view(np.float32))
    # np.partition degrades on long runs of equal values; here those are the zeros, so leave them out.
    positive = bits[bits > 0]
    threshold = np.int32(0) if positive.size < keep else np.partition(positive, positive.size - keep)[-keep]
    mask = bits > threshold
    missing = keep - int(np.count_nonzero(mask))
    mask[np.flatnonzero(bits == threshold)[:missing]] = True
    return torch.from_numpy(mask), float(threshold.view(np.float32))


def _support(magnitude: Tensor, keep: int) -> tuple[Tensor, float]:
    """The same for any device and dtype."""
    threshold = torch.topk(magnitude, keep, sorted=False).values.min()
    mask = magnitude > threshold
    missing = keep - int(mask.count_nonzero())
    mask[(magnitude == threshold).nonzero().flatten()[:missing]] = True
    return mask, float(threshold)
