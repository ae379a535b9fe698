"""Which magnitudes are the `keep` largest: a threshold, and the position up to which its equals are.

All of it is on integers: a magnitude orders as its bits without the sign do. The weights may be anywhere that
can count them (`Weights`); the search here reads them a few times and moves none but a few per cent.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch

AT_ONCE = 2**18  # of so few weights, a pass costs less than what decides on the next one
_SAMPLE = 4096  # the least; or the 2/3rd power of the weights: sampling and collecting then cost the same
_GUESS_PART = 32  # the bracket about a guess: 3 % to either side, more than most steps of training move it
_MARGINS = (3.0, 6.0)  # standard deviations of a sampled rank: one search in 400 needs the second bracket
_FIRST_BITS, _NEXT_BITS = 15, 16  # of a digit: 15 are all of a 16-bit magnitude


class NotANumber(ValueError):
    """A weight is NaN, so magnitudes have no order; `position` is the tensor's place in the list.

    With weights on several ranks, -1 where the NaN is another rank's.
    """

    def __init__(self, position: int) -> None:
        self.position = position
        where = f"tensor {position}" if position >= 0 else "a tensor of another rank"
        super().__init__(f"{where} holds a NaN: magnitudes cannot be ordered, nothing was changed.")


class Layout(NamedTuple):
    """How a floating-point type lies in its bits: bytes, bits after the exponent, the bits of infinity."""

    size: int
    fraction: int
    infinity: int
    integer: torch.dtype
    packed: str  # how `struct` calls the type


LAYOUTS = {
    torch.float32: Layout(4, 23, 0x7F80_0000, torch.int32, "f"),
    torch.float64: Layout(8, 52, 0x7FF0_0000_0000_0000, torch.int64, "d"),
    torch.bfloat16: Layout(2, 7, 0x7F80, torch.int16, ""),  # the upper half of a float32
    torch.float16: Layout(2, 10, 0x7C00, torch.int16, "e"),
}


def to_bits(magnitude: float, dtype: torch.dtype) -> int:
    """The bits of the magnitude at most this one.

    >>> to_bits(1.0, torch.bfloat16) == 0x3F80
    True
    """
    layout = LAYOUTS[dtype]
    try:
        if dtype == torch.bfloat16:
            return int.from_bytes(struct.pack("<f", magnitude)[2:], "little")
        return int.from_bytes(struct.pack("<" + layout.packed, magnitude), "little")
    except OverflowError:  # larger than any finite number of the type
        return layout.infinity


def to_magnitude(bits: int, dtype: torch.dtype) -> float:
    """The magnitude of these bits.

    >>> to_magnitude(0x3F80, torch.bfloat16)
    1.0
    """
    layout = LAYOUTS[dtype]
    if dtype == torch.bfloat16:
        return struct.unpack("<f", struct.pack("<I", bits << 16))[0]
    return struct.unpack("<" + layout.packed, bits.to_bytes(layout.size, "little"))[0]


class Digit(NamedTuple):
    """Some bits of magnitudes, from `shift` up to `over`, of those that begin with `prefix`."""

    shift: int
    over: int
    prefix: int

    @property
    def values(self) -> int:
        return 1 << (self.over - self.shift)

    def next(self, value: int) -> Digit:
        """The digit after this one, of the magnitudes that go on with `value`."""
        prefix = self.prefix << (self.over - self.shift) | value
        return Digit(max(self.shift - _NEXT_BITS, 0), self.shift, prefix)


def first_digit(dtype: torch.dtype) -> Digit:
    """The uppermost bits of all magnitudes of a type."""
    over = 8 * LAYOUTS[dtype].size - 1
    return Digit(over - _FIRST_BITS, over, 0)


class Survey(NamedTuple):
    """How many competing magnitudes are above a bracket, and inside it in each part of the weights.

    top: the largest magnitude of all, reserved ones too.
    values, places: the magnitudes inside and their positions, in any order; None when there were too many.
    """

    above: int
    inside: list[int]
    top: int
    values: np.ndarray | None
    places: np.ndarray | None


class Weights(Protocol):
    """What a search asks of weights. Positions count through all tensors; reserved ones do not compete."""

    dtype: torch.dtype
    total: int
    competing: int

    def find_at_once(self, keep: int, low: int, high: int) -> Cut | None:
        """The cut, for weights so few that a search step by step is slower; None where there is none.

        low, high: a likely bracket; `low` above `high` for none.
        """

    def survey(self, low: int, high: int) -> Survey:
        """Count about the bracket from `low` to `high`, and collect what is in it unless these are equal."""

    def sample(self, count: int) -> np.ndarray:
        """About so many of the competing magnitudes, evenly spaced, sorted."""

    def histogram(self, digit: Digit) -> tuple[np.ndarray, int]:
        """How many competing magnitudes have each value of a digit; and the largest magnitude of all."""

    def after_equal(self, bits: int, nth: int, inside: list[int] | None = None) -> int:
        """The position after the `nth` that equals; `inside`: how many do in each part, where known."""

    def nth_largest(self, values: np.ndarray, nth: int, low: int, high: int) -> int:
        """The `nth` largest of magnitudes collected from `low` to `high`."""

    def first_nan(self) -> int:
        """The place of the first tensor with a NaN."""


class Cut(NamedTuple):
    """Kept is what is above `bits`, and before position `until` also what equals them."""

    bits: int
    until: int


def find_cut(weights: Weights, keep: int, last: float | None = None) -> Cut:
    """The cut that keeps exactly `keep` of the competing weights, ties by position.

    last: a guess of the threshold. Raises `NotANumber`.
    """
    infinity = LAYOUTS[weights.dtype].infinity
    if keep == 0:
        refuse_nan(weights, weights.survey(infinity, infinity).top)
        return Cut(infinity + 1, weights.total)
    if weights.competing <= AT_ONCE:
        cut = weights.find_at_once(keep, *_about_guess(last, weights.dtype))
        if cut is not None:
            return cut
    for low, high in _brackets(weights, keep):
        found = weights.survey(low, high)
        refuse_nan(weights, found.top)
        cut = _cut_inside(weights, found, low, high, keep - found.above)
        if cut is not None:
            return cut
    return _cut_by_digits(weights, keep)


def refuse_nan(weights: Weights, top: int) -> None:
    """Raise `NotANumber` if the largest magnitude is one: the bits of NaN are above those of infinity."""
    if top > LAYOUTS[weights.dtype].infinity:
        raise NotANumber(weights.first_nan())


def _about_guess(last: float | None, dtype: torch.dtype) -> tuple[int, int]:
    """The bracket that a few steps of training leave the threshold in; (1, 0) without a guess."""
    if last is None or not last > 0:
        return 1, 0
    guess, reach = to_bits(last, dtype), (1 << LAYOUTS[dtype].fraction) // _GUESS_PART
    return max(guess - reach, 0), min(guess + reach, LAYOUTS[dtype].infinity)


def _brackets(weights: Weights, keep: int) -> Iterator[tuple[int, int]]:
    """Brackets that may hold the threshold, the likeliest first."""
    values = weights.sample(max(_SAMPLE, round(weights.competing ** (2 / 3))))
    if not values.size:
        return
    for margin in _MARGINS:
        yield from _about_rank(values, keep / weights.competing, margin, LAYOUTS[weights.dtype].infinity)


def _about_rank(values: np.ndarray, part: float, margin: float, infinity: int) -> Iterator[tuple[int, int]]:
    """Brackets about the magnitude that a part of the weights exceeds, from a sorted sample.

    A value that many weights share, zero above all, is a bracket of its own: it is counted, not collected.
    """
    reach = margin * math.sqrt(values.size * part * (1 - part)) + 1
    first = math.floor(values.size * (1 - part) - reach)
    last = math.ceil(values.size * (1 - part) + reach)
    low = int(values[first]) if first >= 0 else 0
    high = int(values[last]) if last < values.size else infinity
    if low == high:
        yield low, high
        return
    low_is_common = values[max(2 * first - last, 0)] == low
    high_is_common = values[min(2 * last - first, values.size - 1)] == high
    if low + low_is_common <= high - high_is_common:
        yield low + int(low_is_common), high - int(high_is_common)
    if low_is_common:
        yield low, low
    if high_is_common:
        yield high, high


def _cut_inside(weights: Weights, found: Survey, low: int, high: int, nth: int) -> Cut | None:
    """The cut at the `nth` largest in a bracket; None when it is not in there, or what is was too much."""
    inside = sum(found.inside)
    if not 0 < nth <= inside:
        return None
    if low == high:
        return Cut(low, weights.total if nth == inside else weights.after_equal(low, nth, found.inside))
    if found.values is None or found.places is None:
        return None
    bits = weights.nth_largest(found.values, nth, low, high)
    nth -= int(np.count_nonzero(found.values > bits))
    equal = found.places[found.values == bits]
    return Cut(bits, weights.total if nth == equal.size else int(np.partition(equal, nth - 1)[nth - 1]) + 1)


def _cut_by_digits(weights: Weights, keep: int) -> Cut:
    """The cut whatever the values: one histogram for each digit."""
    digit, nth = first_digit(weights.dtype), keep
    while True:
        bins, top = weights.histogram(digit)
        refuse_nan(weights, top)
        value, nth = nth_from_top(bins, nth)
        digit = digit.next(value)
        if digit.over == 0:
            break
    bits, equal = digit.prefix, int(bins[value])
    return Cut(bits, weights.total if nth == equal else weights.after_equal(bits, nth))


def nth_from_top(bins: np.ndarray, nth: int) -> tuple[int, int]:
    """The bin of the `nth` largest, and which of that bin it is.

    >>> nth_from_top(np.array([4, 0, 3, 2]), 4)
    (2, 2)
    """
    from_top = np.cumsum(bins[::-1])
    place = int(np.searchsorted(from_top, nth))
    return bins.size - 1 - place, nth - int(from_top[place] - bins[bins.size - 1 - place])
