"""Search and project weights on any device by plain tensor operations, piece by piece."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sparsecore.engine.projection.threshold import Cut, Digit, Survey, magnitude_bits

PIECE = 2**24  # weights: temporaries of a piece are small compared with large weights, and calls are few
_FEW = 2**16  # weights: this many may be collected in any case
_ROOM = 16  # at most one weight in 16 is collected
_TAKEN = -1  # below every magnitude: a reserved weight does not compete


class _Piece(NamedTuple):
    """A flat slice of a tensor with its mask, counts and reserved; `start` counts through all tensors."""

    place: int
    start: int
    weights: Tensor
    mask: Tensor | None
    counts: Tensor | None
    reserved: Tensor | None

    @property
    def end(self) -> int:
        return self.start + self.weights.numel()

    def magnitudes(self) -> Tensor:
        return magnitude_bits(self.weights)

    def competing(self) -> Tensor:
        magnitudes = self.magnitudes()
        return magnitudes if self.reserved is None else magnitudes.masked_fill_(self.reserved, _TAKEN)

    def split(self, position: int) -> "tuple[_Piece, _Piece]":
        """Split at a position into two pieces."""
        at = position - self.start

        def part(of: Tensor | None, before: bool) -> Tensor | None:
            return None if of is None else of[:at] if before else of[at:]

        before, after = ([part(each, side) for each in self[2:]] for side in (True, False))
        return _Piece(self.place, self.start, *before), _Piece(self.place, position, *after)


class DeviceWeights:
    """Contiguous tensors of one device, with their masks, counts and reserved positions.

    tensors: of one dtype. masks, counts, reserved: None, or one for each tensor, contiguous and of its shape.
    The results equal those of `HostWeights` bit for bit.
    """

    def __init__(
        self,
        tensors: Sequence[Tensor],
        masks: Sequence[Tensor] | None,
        counts: Sequence[Tensor] | None,
        reserved: Sequence[Tensor] | None,
    ) -> None:
        self.dtype = tensors[0].dtype
        self._tensors = len(tensors)
        self._pieces: list[_Piece] = []
        start = 0
        for place, tensor in enumerate(tensors):
            rows = [None if given is None else given[place] for given in (masks, counts, reserved)]
            flat = [None if each is None else each.detach().view(-1) for each in (tensor, *rows)]
            for first in range(0, tensor.numel(), PIECE):
                cut = [None if each is None else each[first : first + PIECE] for each in flat]
                self._pieces.append(_Piece(place, start + first, *cut))
            start += tensor.numel()
        self.total = start
        self.competing = start - sum(int(each.count_nonzero()) for each in reserved or ())

    def _figures(self, figures: list[list[Tensor]]) -> list[list[int]]:
        """Read numbers of every piece in one transfer."""
        return torch.stack([torch.stack([each.long() for each in row]) for row in figures]).tolist()

    def find_at_once(self, keep: int, low: int, high: int) -> Cut | None:
        return None

    def nth_largest(self, values: np.ndarray, nth: int, low: int, high: int) -> int:
        return int(np.partition(values, values.size - nth)[values.size - nth])

    def survey(self, low: int, high: int) -> Survey:
        if not self._pieces:
            return Survey(0, [], 0, None, None)
        figures = []
        for piece in self._pieces:
            bits = piece.competing()
            inside = ((bits >= low) & (bits <= high)).sum()
            top = bits.max() if piece.reserved is None else piece.magnitudes().max()
            figures.append([(bits > high).sum(), inside, top])
        rows = self._figures(figures)
        inside = [row[1] for row in rows]
        survey = Survey(sum(row[0] for row in rows), inside, max(row[2] for row in rows), None, None)
        if low == high or sum(inside) > max(_FEW, self.total // _ROOM):
            return survey
        values, places = zip(*self._collect(low, high), strict=True)
        return Survey(survey.above, inside, survey.top, np.concatenate(values), np.concatenate(places))

    def _collect(self, low: int, high: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for piece in self._pieces:
            bits = piece.competing()
            places = ((bits >= low) & (bits <= high)).nonzero().view(-1)
            yield bits[places].cpu().numpy(), (places + piece.start).cpu().numpy()

    def sample(self, count: int) -> np.ndarray:
        stride = max(1, self.total // count)
        taken = []
        for piece in self._pieces:
            every = [None if each is None else each[-piece.start % stride :: stride] for each in piece[2:]]
            taken.append(_Piece(piece.place, piece.start, *every).competing())
        values = torch.cat(taken).cpu().numpy()
        return np.sort(values[values != _TAKEN])

    def histogram(self, digit: Digit) -> tuple[np.ndarray, int]:
        device = self._pieces[0].weights.device if self._pieces else "cpu"
        bins = torch.zeros(digit.values, dtype=torch.long, device=device)
        tops = [torch.zeros((), dtype=torch.long, device=device)]
        for piece in self._pieces:
            bits = piece.competing()
            tops.append(piece.magnitudes().max().long())
            bits = bits[(bits >> digit.over) == digit.prefix]  # all of them, at the first digit
            bins += torch.bincount((bits >> digit.shift) & (digit.values - 1), minlength=digit.values)
        return bins.cpu().numpy(), int(torch.stack(tops).max())

    def after_equal(self, bits: int, nth: int, inside: list[int] | None = None) -> int:
        for piece, equal in zip(self._pieces, inside or self.survey(bits, bits).inside, strict=True):
            if nth <= equal:
                return piece.start + int((piece.competing() == bits).nonzero()[nth - 1]) + 1
            nth -= equal
        raise ValueError(f"fewer weights than expected equal {bits:#x}.")

    def first_nan(self) -> int:
        for piece in self._pieces:
            if bool(piece.weights.isnan().any()):
                return piece.place
        raise ValueError("no tensor contains a NaN.")

    def apply(self, cut: Cut) -> tuple[tuple[int, ...], int]:
        """Zero the weights below the cut, write masks and counts; returns kept per tensor, changed bits."""
        figures, places = [], []
        for whole in self._pieces:
            inside = whole.start < cut.until < whole.end
            for piece in whole.split(cut.until) if inside else (whole,):
                figures.append(self._cut(piece, cut.bits if piece.start < cut.until else cut.bits + 1))
                places.append(piece.place)
        kept, changed = [0] * self._tensors, 0
        for place, (stay, moved) in zip(places, self._figures(figures) if figures else (), strict=True):
            kept[place] += stay
            changed += moved
        return tuple(kept), changed

    def _cut(self, piece: _Piece, least: int) -> list[Tensor]:
        stay = piece.magnitudes() >= least
        if piece.reserved is not None:
            stay |= piece.reserved
        changed = torch.zeros((), dtype=torch.long, device=stay.device)
        if piece.mask is not None:
            changed = (stay ^ piece.mask).sum()
            piece.mask.copy_(stay)
        if piece.counts is not None:
            piece.counts.add_(stay)
        piece.weights.masked_fill_(~stay, 0.0)
        return [stay.sum(), changed]
