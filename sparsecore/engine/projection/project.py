"""The projection onto {w : ‖w‖₀ ≤ s}: keep the s largest magnitudes, set the rest to zero."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from sparsecore.engine.projection import threshold
from sparsecore.engine.projection.device import DeviceWeights
from sparsecore.engine.projection.sharded import Ranks, find_cut_together, refuse_together
from sparsecore.engine.projection.small import FEW, FewWeights
from sparsecore.engine.projection.threshold import LAYOUTS, Cut, NotANumber, Weights, find_cut, to_magnitude

if TYPE_CHECKING:
    from sparsecore.engine.projection.cpu import HostGroups

__all__ = ["NotANumber", "Projection", "project_"]


@dataclass(frozen=True)
class Projection:
    """The result of a projection.

    kept: the number of kept positions per tensor; over all ranks they sum to the budget exactly.
    threshold: the s-th largest magnitude, infinite for a budget of 0. With reserved positions: the smallest
      magnitude kept among the others, infinite if none of them was kept.
    changed: the number of mask positions that differ from before; None without masks.
    """

    kept: tuple[int, ...]
    threshold: float
    changed: int | None


@torch.no_grad()
def project_(
    tensors: Sequence[Tensor],
    keep: int,
    *,
    last: float | None = None,
    masks: Sequence[Tensor] | None = None,
    counts: Sequence[Tensor] | None = None,
    reserved: Sequence[Tensor] | None = None,
    group: dist.ProcessGroup | None = None,
) -> Projection:
    """Keep the `keep` largest magnitudes over all tensors jointly, in place, and set the rest to zero.

    H_s of Beck & Eldar (2013). Exactly `keep` positions survive for any values; among equal magnitudes the
    lower index (tensors in order, row by row) survives. Kept weights are not touched, not even -0.0. Without
    masks and counts almost no additional memory is needed.

    tensors: all float32, float64, bfloat16 or float16, on one device.
    last: a guess of the threshold, such as that of the last step; affects speed, never the result.
    masks: bool, one per tensor, of its shape; overwritten with the new support.
    counts: int32, likewise; incremented where a weight is kept.
    reserved: bool, likewise; these positions survive at any magnitude and count towards `keep`.
    group: the weights are sharded over the ranks of this group; `tensors` are this rank's (possibly none) and
      `keep` is the total over all ranks. Every rank must call; ties go to the lower rank. `last` is not used.

    Raises, before anything is changed: `NotANumber`, on all ranks, if there is a NaN; `ValueError` for a
    budget outside 0..K or below the reserved count, and for mixed or unsupported dtypes, devices or shapes.

    >>> w = torch.tensor([3.0, -1.0, 2.0, -2.0])
    >>> mask = torch.ones(4, dtype=torch.bool)
    >>> project_([w], keep=2, masks=[mask])
    Projection(kept=(2,), threshold=2.0, changed=2)
    >>> w, mask
    (tensor([3., 0., 2., 0.]), tensor([ True, False,  True, False]))
    """
    ranks = None if group is None else Ranks(group, _device(tensors))
    try:
        _check(tensors, masks, counts, reserved)
    except ValueError:
        if ranks is not None:
            refuse_together(keep, ranks)
        raise
    given = (tensors, masks, counts, reserved)
    held = [None if each is None else _contiguous(each) for each in given]
    weights = _weights(*held, alone=ranks is None) if tensors else None
    cut, dtype = _find(weights, keep, last) if ranks is None else find_cut_together(weights, keep, ranks)
    return _applied(weights, cut, dtype, given[:3], held[:3])


class Projector:
    """Project the same groups of tensors repeatedly, each to its budget; they are inspected once.

    groups: the tensors, masks and counts of each, as in `project_`; the counts are complete after `settle`.
    The addresses of contiguous tensors in main memory are cached, and refreshed when one of them has moved;
    unless a group is very large, one compiled call projects them all. Raises the errors of `project_` before
    anything is changed; the position of a `NotANumber` counts through the tensors of all groups.
    """

    def __init__(self, *groups: tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]]) -> None:
        self._groups = groups
        self._written = [tensor for group in groups for part in group for tensor in part]
        self._at: list[int] = []
        self._last: list[float | None] = [None] * len(groups)
        self._weights: list[Weights] = []  # of each group; none where they must be read anew at every step
        self._together: HostGroups | None = None
        self._pending = 0  # steps not yet added to the counts of the weights in the masks

    def __call__(self, keep: Sequence[int]) -> list[Projection]:
        """Keep the `keep` largest magnitudes of each group."""
        at = [tensor.data_ptr() for tensor in self._written]
        if self._at != at:
            self._look()
            self._at = at
        if self._together is None:
            return self._one_by_one(keep)
        done = self._together.project(keep, self._pending)
        self._pending += 1
        torch.autograd.graph.increment_version(self._written)
        dtype = self._together.dtype
        return [Projection(kept, _threshold(bits, dtype), changed) for bits, kept, changed in done]

    def settle(self) -> None:
        """Complete the counts: most steps keep most weights, so that many steps are added at once."""
        for _, masks, counts in self._groups if self._pending else ():
            for mask, count in zip(masks, counts, strict=True):
                count.add_(mask, alpha=self._pending)
        self._pending = 0

    @torch.no_grad()
    def _one_by_one(self, keep: Sequence[int]) -> list[Projection]:
        held = [[_contiguous(part) for part in group] for group in self._groups]
        every = self._weights or [_weights(*each, None, alone=True) for each in held]
        cuts, before = [], 0
        for weights, budget, last, group in zip(every, keep, self._last, self._groups, strict=True):
            try:
                cuts.append(_find(weights, budget, last))
            except NotANumber as error:
                raise NotANumber(before + error.position) from error
            before += len(group[0])
        done = [
            _applied(weights, *found, group, copies)
            for weights, found, group, copies in zip(every, cuts, self._groups, held, strict=True)
        ]
        self._last = [each.threshold for each in done]
        return done

    def _look(self) -> None:
        self.settle()
        for group in self._groups:
            _check(*group, None)
        self._weights, self._together = [], None
        totals = [sum(tensor.numel() for tensor in tensors) for tensors, _, _ in self._groups]
        if sum(totals) <= FEW or not all(each.is_cpu and each.is_contiguous() for each in self._written):
            return
        from sparsecore.engine.projection.cpu import HostGroups, HostWeights  # as in `_weights`

        self._weights = [HostWeights(*group, None) for group in self._groups]
        if max(totals) <= threshold.AT_ONCE and len({each.dtype for each in self._weights}) == 1:
            self._together = HostGroups(self._weights)


def _applied(
    weights: Weights | FewWeights | None,
    cut: Cut,
    dtype: torch.dtype,
    given: Sequence[Sequence[Tensor] | None],
    held: Sequence[Sequence[Tensor] | None],
) -> Projection:
    """Apply a cut; given: the tensors, masks and counts; held: their contiguous copies, or themselves."""
    kept, changed = weights.apply(cut) if weights is not None else ((), 0)
    _write_back(given, held)
    return Projection(kept, _threshold(cut.bits, dtype), None if given[1] is None else changed)


def _threshold(bits: int, dtype: torch.dtype) -> float:
    return math.inf if bits > LAYOUTS[dtype].infinity else to_magnitude(bits, dtype)


def _device(tensors: Sequence[Tensor]) -> torch.device:
    if tensors:
        return tensors[0].device
    return torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")


def _check(
    tensors: Sequence[Tensor],
    masks: Sequence[Tensor] | None,
    counts: Sequence[Tensor] | None,
    reserved: Sequence[Tensor] | None,
) -> None:
    """Refuse mixed dtypes and devices, and masks, counts or reserved that do not match the weights."""
    if not tensors:
        return
    dtype, device = tensors[0].dtype, tensors[0].device
    for tensor in tensors:
        if tensor.dtype is not dtype or dtype not in LAYOUTS:
            found = ", ".join(sorted({str(each.dtype) for each in tensors}))
            raise ValueError(f"weights must be all float32, float64, bfloat16 or float16; got {found}.")
        if tensor.device != device:
            raise ValueError(f"weights must be on one device; got {device} and {tensor.device}.")
    _check_matches("masks", masks, torch.bool, tensors)
    _check_matches("counts", counts, torch.int32, tensors)
    _check_matches("reserved", reserved, torch.bool, tensors)


def _check_matches(
    name: str, given: Sequence[Tensor] | None, dtype: torch.dtype, tensors: Sequence[Tensor]
) -> None:
    if given is None:
        return
    if len(given) != len(tensors):
        raise ValueError(f"{name} must have one entry per tensor ({len(tensors)}); got {len(given)}.")
    for place, (each, tensor) in enumerate(zip(given, tensors, strict=True)):
        if each.dtype is not dtype or each.shape != tensor.shape or each.device != tensor.device:
            raise ValueError(
                f"{name}[{place}] must be {dtype} of shape {tuple(tensor.shape)} on {tensor.device}; "
                f"got {each.dtype} of shape {tuple(each.shape)} on {each.device}."
            )


def _contiguous(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor if tensor.is_contiguous() else tensor.contiguous() for tensor in tensors]


def _weights(
    tensors: list[Tensor],
    masks: list[Tensor] | None,
    counts: list[Tensor] | None,
    reserved: list[Tensor] | None,
    *,
    alone: bool,
) -> Weights | FewWeights:
    if not tensors[0].is_cpu:
        return DeviceWeights(tensors, masks, counts, reserved)
    if alone and sum(tensor.numel() for tensor in tensors) <= FEW:
        return FewWeights(tensors, masks, counts, reserved)
    # Imported only when needed: numba takes half a second to import and longer to compile the first time.
    from sparsecore.engine.projection.cpu import HostWeights

    return HostWeights(tensors, masks, counts, reserved)


def _find(weights: Weights | FewWeights | None, keep: int, last: float | None) -> tuple[Cut, torch.dtype]:
    threshold.check_budget(keep, 0 if weights is None else weights.total)
    if weights is None:
        return Cut(LAYOUTS[torch.float32].infinity + 1, 0), torch.float32
    reserved = weights.total - weights.competing
    if reserved > keep:
        raise ValueError(f"reserved marks {reserved:,} positions, more than keep = {keep:,}.")
    if isinstance(weights, FewWeights):
        return weights.cut(keep - reserved), weights.dtype
    return find_cut(weights, keep - reserved, last), weights.dtype


def _write_back(given: Sequence[Sequence[Tensor] | None], held: Sequence[Sequence[Tensor] | None]) -> None:
    """Copy contiguous copies back, and mark the tensors as changed in place for autograd."""
    written: list[Tensor] = []
    for originals, copies in zip(given, held, strict=True):
        if originals is None or copies is None:
            continue
        written.extend(originals)
        for original, copy in zip(originals, copies, strict=True):
            if copy is not original:
                original.copy_(copy)
    torch.autograd.graph.increment_version(written)
