"""Find the `keep` largest magnitudes: a threshold, and the position up to which ties survive.

All work is on integers: magnitudes order as their bits without the sign. The weights may be anywhere that
implements `Weights`; the search reads them a few times and copies at most a few per cent.
"""

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch

AT_ONCE = 2**20  # up to this many weights one compiled call finds the cut; more are read step by step
_SAMPLE = 4096  # at least; else weights^(2/3), where sampling and collecting cost the same
_GUESS_PART = 32  # the bracket around a guess: ±3 %, more than most steps of training move it
_MARGINS = (3.0, 6.0)  # standard deviations of a sampled rank: one search in 400 needs the second bracket
_FIRST_BITS, _NEXT_BITS = 15, 16  # bits of a digit: 15 are a whole 16-bit magnitude


class NotANumber(ValueError):
    """A weight is NaN, so magnitudes have no order; `position` is the index of its tensor.

    With sharded weights it is -1 on ranks other than the one with the NaN.
    """

    def __init__(self, position: int) -> None:
        self.position = position
        where = f"tensor {position}" if position >= 0 else "a tensor of another rank"
        super().__init__(f"{where} contains a NaN: magnitudes cannot be ordered; nothing was changed.")


class Layout(NamedTuple):
    """The bit layout of a floating-point type: bytes, mantissa bits, the bits of infinity."""

    size: int
    fraction: int
    infinity: int
    integer: torch.dtype
    packed: str  # the format character of `struct`


LAYOUTS = {
    torch.float32: Layout(4, 23, 0x7F80_0000, torch.int32, "f"),
    torch.float64: Layout(8, 52, 0x7FF0_0000_0000_0000, torch.int64, "d"),
    torch.bfloat16: Layout(2, 7, 0x7F80, torch.int16, ""),  # the upper half of a float32
    torch.float16: Layout(2, 10, 0x7C00, torch.int16, "e"),
}


def to_bits(magnitude: float, dtype: torch.dtype) -> int:
    """Return the bits of the largest magnitude that is at most this one.

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
    """Return the magnitude of these bits.

    >>> to_magnitude(0x3F80, torch.bfloat16)
    1.0
    """
    layout = LAYOUTS[dtype]
    if dtype == torch.bfloat16:
        return struct.unpack("<f", struct.pack("<I", bits << 16))[0]
    return struct.unpack("<" + layout.packed, bits.to_bytes(layout.size, "little"))[0]


def magnitude_bits(weights: torch.Tensor) -> torch.Tensor:
    """Return the bits of the magnitudes as integers of the same order; NaN is above infinity."""
    integer = LAYOUTS[weights.dtype].integer
    return weights.view(integer) & torch.iinfo(integer).max


class Digit(NamedTuple):
    """Bits `shift` to `over` of the magnitudes that begin with `prefix`."""

    shift: int
    over: int
    prefix: int

    @property
    def values(self) -> int:
        return 1 << (self.over - self.shift)

    def next(self, value: int) -> "Digit":
        """Return the next digit of the magnitudes with `value` in this one."""
        prefix = self.prefix << (self.over - self.shift) | value
        return Digit(max(self.shift - _NEXT_BITS, 0), self.shift, prefix)


def first_digit(dtype: torch.dtype) -> Digit:
    """Return the digit of the highest bits of a type."""
    over = 8 * LAYOUTS[dtype].size - 1
    return Digit(over - _FIRST_BITS, over, 0)


class Survey(NamedTuple):
    """Counts of competing magnitudes above a bracket and, per part of the weights, inside it.

    top: the largest magnitude, reserved ones included.
    values, places: the magnitudes inside and their positions, in any order; None if there were too many.
    """

    above: int
    inside: list[int]
    top: int
    values: np.ndarray | None
    places: np.ndarray | None


class Weights(Protocol):
    """What the search reads. Positions count through all tensors; reserved ones do not compete."""

    dtype: torch.dtype
    total: int
    competing: int

    def find_at_once(self, keep: int, low: int, high: int) -> "Cut | None":
        """Find the cut in one call, for weights too few for a stepwise search; None if not implemented.

        low, high: a likely bracket; `low` > `high` for none.
        """

    def survey(self, low: int, high: int) -> Survey:
        """Count above and inside the bracket; collect the inside unless `low` equals `high`."""

    def sample(self, count: int) -> np.ndarray:
        """Return about `count` of the competing magnitudes, evenly spaced, sorted."""

    def histogram(self, digit: Digit) -> tuple[np.ndarray, int]:
        """Count competing magnitudes by the value of a digit; also return the largest magnitude."""

    def after_equal(self, bits: int, nth: int, inside: list[int] | None = None) -> int:
        """Return the position after the `nth` magnitude equal to `bits`; inside: counts per part."""

    def nth_largest(self, values: np.ndarray, nth: int, low: int, high: int) -> int:
        """Return the `nth` largest of the magnitudes collected from `low` to `high`."""

    def first_nan(self) -> int:
        """Return the index of the first tensor with a NaN."""


class Cut(NamedTuple):
    """Keep magnitudes above `bits`, and before position `until` those equal to it."""

    bits: int
    until: int


def find_cut(weights: Weights, keep: int, last: float | None = None) -> Cut:
    """Find the cut that keeps exactly `keep` of the competing weights, ties by position.

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
    """Raise `NotANumber` if the largest magnitude is NaN: its bits are above those of infinity."""
    if top > LAYOUTS[weights.dtype].infinity:
        raise NotANumber(weights.first_nan())


def _about_guess(last: float | None, dtype: torch.dtype) -> tuple[int, int]:
    """Return a bracket that holds the threshold after a few steps of training; (1, 0) without a guess."""
    if last is None or not last > 0:
        return 1, 0
    guess = to_bits(last, dtype)
    return max(guess - reach(dtype), 0), min(guess + reach(dtype), LAYOUTS[dtype].infinity)


def check_budget(keep: int, total: int) -> None:
    """Raise `ValueError` for a budget that is negative or exceeds the number of weights."""
    if not 0 <= keep <= total:
        raise ValueError(f"keep must be from 0 to {total:,}, the number of weights; got {keep}.")


def reach(dtype: torch.dtype) -> int:
    """Return how far from a guess the bracket goes, in bits."""
    return (1 << LAYOUTS[dtype].fraction) // _GUESS_PART


def _brackets(weights: Weights, keep: int) -> Iterator[tuple[int, int]]:
    """Yield brackets that may hold the threshold, the likeliest first."""
    values = weights.sample(max(_SAMPLE, round(weights.competing ** (2 / 3))))
    if not values.size:
        return
    for margin in _MARGINS:
        yield from _about_rank(values, keep / weights.competing, margin, LAYOUTS[weights.dtype].infinity)


def _about_rank(values: np.ndarray, part: float, margin: float, infinity: int) -> Iterator[tuple[int, int]]:
    """Yield brackets around a quantile of the magnitudes, estimated from a sorted sample.

    A value that many weights share, above all zero, is its own bracket: it is counted, not collected.
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
    """Return the cut at the `nth` largest in a bracket; None if it lies outside or too many lie inside."""
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
    """Find the cut for any values: one histogram per digit."""
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
    """Return the bin of the `nth` largest, and its rank within the bin.

    >>> nth_from_top(np.array([4, 0, 3, 2]), 4)
    (2, 2)
    """
    from_top = np.cumsum(bins[::-1])
    place = int(np.searchsorted(from_top, nth))
    return bins.size - 1 - place, nth - int(from_top[place] - bins[bins.size - 1 - place])
