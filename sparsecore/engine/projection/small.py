"""Project few weights by numpy alone, so that a small network need not wait for compiled loops."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sparsecore.engine.projection.threshold import LAYOUTS, Cut, NotANumber

FEW = 4096  # weights; the compiled passes are faster for more


class FewWeights:
    """Contiguous tensors with at most `FEW` weights in total; masks, counts, reserved as in `project_`."""

    def __init__(
        self,
        tensors: Sequence[Tensor],
        masks: Sequence[Tensor] | None,
        counts: Sequence[Tensor] | None,
        reserved: Sequence[Tensor] | None,
    ) -> None:
        self.dtype = tensors[0].dtype
        layout = LAYOUTS[self.dtype]
        self._bits = [tensor.detach().view(layout.integer).numpy().reshape(-1) for tensor in tensors]
        self._masks, self._counts = masks, counts
        self._ends = np.cumsum([bits.size for bits in self._bits])
        sign = 1 << (8 * layout.size - 1)
        self._magnitudes = np.concatenate(self._bits).astype(np.int64) & sign - 1
        self._free = np.ones(self._magnitudes.size, dtype=bool)
        if reserved is not None:
            self._free = ~np.concatenate([each.numpy().reshape(-1) for each in reserved])
        self.total = self._magnitudes.size
        self.competing = int(np.count_nonzero(self._free))

    def cut(self, keep: int) -> Cut:
        """Find the cut that keeps exactly `keep` weights, ties by position; raises `NotANumber`."""
        infinity = LAYOUTS[self.dtype].infinity
        if self._magnitudes.max(initial=0) > infinity:
            first = int((self._magnitudes > infinity).argmax())
            raise NotANumber(int(np.searchsorted(self._ends, first, "right")))
        if keep == 0:
            return Cut(infinity + 1, self.total)
        competing = self._magnitudes[self._free]
        bits = int(np.partition(competing, competing.size - keep)[competing.size - keep])
        missing = keep - int(np.count_nonzero(competing > bits))
        equal = np.flatnonzero((self._magnitudes == bits) & self._free)
        return Cut(bits, int(equal[missing - 1]) + 1)

    def apply(self, cut: Cut) -> tuple[tuple[int, ...], int]:
        """Zero the rest; returns kept weights per tensor and changed mask positions."""
        kept = (self._magnitudes > cut.bits) | ~self._free
        kept[: cut.until] |= self._magnitudes[: cut.until] == cut.bits
        parts = np.split(kept, self._ends[:-1])
        changed = 0
        for place, (part, bits) in enumerate(zip(parts, self._bits, strict=True)):
            bits[~part] = 0
            if self._masks is not None:
                mask = self._masks[place].numpy().reshape(-1)
                changed += int(np.count_nonzero(mask != part))
                mask[:] = part
            if self._counts is not None:
                self._counts[place].view(-1).add_(torch.from_numpy(part))
        return tuple(int(np.count_nonzero(part)) for part in parts), changed
