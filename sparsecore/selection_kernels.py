"""Compiled passes over the bits of weights: count, collect and apply, in blocks that stay in the first cache.

A weight's magnitude orders as its bits without the sign do, read as an integer. A table has one row a tensor,
its columns being the addresses and sizes below; positions count through all tensors in order, row by row. The
loops of one output each, over one block, are functions of their own: so the compiler turns them into vector
instructions, whatever the width of a weight.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, int32, njit, types, uint8
from numba.extending import intrinsic

WEIGHTS, MASK, COUNT, RESERVED, START, SIZE = range(6)  # the columns of a table; an address of 0: not given
ABOVE, INSIDE, FOUND, NANS = range(4)  # what `survey` counts
LANES = 4  # histograms side by side, so that a run of equal values need not wait for its own last count
_BLOCK = 4096  # weights: at 8 bytes each, block and buffers fit in 96 kB
_TAKEN = -1  # below every magnitude: a reserved weight does not compete


@intrinsic
def _at(typing: Any, address: Any, like: Any) -> Any:
    """A pointer to elements of the type of `like` (an array or a type) from an address."""
    element = like.dtype

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_data_type(element).as_pointer())

    return types.CPointer(element)(types.int64, like), generate


@njit
def _part(address, like, first, last):
    return carray(_at(address, like), (last,))[first:last]


# -- loops over one block -------------------------------------------------------------------------------------


@njit
def _magnitudes(weights, infinity, out):
    """The bits without the sign into `out`; how many are NaN, the bits of which are above infinity's."""
    of = weights.dtype.type
    largest = np.iinfo(weights.dtype).max
    nans = of(0)
    for k in range(weights.size):
        bits = of(weights[k] & largest)
        out[k] = bits
        nans = of(nans + of(bits > infinity))
    return nans


@njit
def _withdraw(reserved, magnitudes):
    of = magnitudes.dtype.type
    for k in range(magnitudes.size):
        magnitudes[k] = of(_TAKEN) if reserved[k] else magnitudes[k]


@njit
def _count(magnitudes, low, high):
    """How many are at least `low`, and how many above `high`."""
    of = magnitudes.dtype.type
    least = of(0)
    above = of(0)
    for k in range(magnitudes.size):
        least = of(least + of(magnitudes[k] >= low))
        above = of(above + of(magnitudes[k] > high))
    return np.int64(least), np.int64(above)


@njit
def _flag(magnitudes, low, high, flags):
    for k in range(magnitudes.size):
        flags[k] = uint8(uint8(magnitudes[k] >= low) & uint8(magnitudes[k] <= high))


@njit
def _collect(words, magnitudes, start, values, places, found):
    """Append the flagged: eight flags are one word, and few words hold any."""
    for j in range((magnitudes.size + 7) // 8):
        word = words[j]
        if word != 0:
            for k in range(8 * j, min(8 * j + 8, magnitudes.size)):
                values[found] = magnitudes[k]
                places[found] = start + k
                found += np.int64((word >> np.uint64(8 * (k & 7))) & np.uint64(1))
    return found


@njit
def _keep(weights, least, new):
    of = weights.dtype.type
    largest = np.iinfo(weights.dtype).max
    for k in range(weights.size):
        new[k] = uint8(of(weights[k] & largest) >= least)


@njit
def _spare(reserved, new):
    for k in range(new.size):
        new[k] |= reserved[k]


@njit
def _total(new):
    total = np.int32(0)
    for k in range(new.size):
        total = np.int32(total + np.int32(new[k]))
    return total


@njit
def _replace(new, mask):
    """The new mask for the old one; how many positions differ."""
    changed = np.int32(0)
    for k in range(new.size):
        changed = np.int32(changed + np.int32(new[k] ^ mask[k]))
        mask[k] = new[k]
    return changed


@njit
def _tally(new, counts):
    for k in range(new.size):
        counts[k] = np.int32(counts[k] + np.int32(new[k]))


@njit
def _erase(weights, new):
    of = weights.dtype.type
    for k in range(weights.size):
        weights[k] = of(weights[k] & of(-of(new[k])))


@njit
def _competing(table, row, first, last, infinity, buffer):
    """The magnitudes of a block, reserved ones taken out, in `buffer`; and how many are NaN."""
    magnitudes = buffer[: last - first]
    nans = _magnitudes(_part(table[row, WEIGHTS], buffer, first, last), infinity, magnitudes)
    if table[row, RESERVED]:
        _withdraw(_part(table[row, RESERVED], uint8, first, last), magnitudes)
    return magnitudes, nans


# -- passes over the positions from `begin` to `end` ----------------------------------------------------------


def survey(table, begin, end, bounds, values, places, out):
    """Count what is above bounds[1] and from bounds[0] to it, and NaN beyond bounds[2]; collect the inside.

    values, places: the magnitudes inside and their positions from `begin`, in order; out[FOUND] of them, or
    -1 where they find no room.
    """
    low, high, infinity = bounds[0], bounds[1], bounds[2]
    buffer = np.empty(_BLOCK, bounds.dtype)
    flags = np.empty(_BLOCK, np.uint8)
    words = flags.view(np.uint64)
    room = values.size > 0
    above = inside = found = nans = 0
    for row in range(table.shape[0]):
        start = table[row, START]
        last = min(end - start, table[row, SIZE])
        for first in range(max(begin - start, 0), last, _BLOCK):
            magnitudes, bad = _competing(table, row, first, min(first + _BLOCK, last), infinity, buffer)
            least, more = _count(magnitudes, low, high)
            nans += bad
            above += more
            inside += least - more
            if room and least > more:
                room = inside < values.size  # one place more than found: what is written last may not count
                if room:
                    _flag(magnitudes, low, high, flags)
                    found = _collect(words, magnitudes, start + first - begin, values, places, found)
    out[ABOVE], out[INSIDE], out[NANS] = above, inside, nans
    out[FOUND] = found if room else -1


def histogram(table, begin, end, bounds, digit, bins, out):
    """Count magnitudes by a digit of their bits; and NaN beyond bounds[2].

    digit: (shift of the digit, shift of the digits above it, what these must be). bins: one row for each
    value of the digit, with `LANES` columns that are to be summed.
    """
    infinity = bounds[2]
    shift, over, prefix = digit[0], digit[1], digit[2]
    mask = bins.shape[0] - 1
    buffer = np.empty(_BLOCK, bounds.dtype)
    nans = 0
    for row in range(table.shape[0]):
        start = table[row, START]
        last = min(end - start, table[row, SIZE])
        for first in range(max(begin - start, 0), last, _BLOCK):
            magnitudes, bad = _competing(table, row, first, min(first + _BLOCK, last), infinity, buffer)
            nans += bad
            for k in range(magnitudes.size):
                bits = np.int64(magnitudes[k])
                if bits >> over == prefix:
                    bins[(bits >> shift) & mask, k & (LANES - 1)] += 1
    out[NANS] = nans


def nth_equal(table, begin, end, bounds, nth, out):
    """The position after the `nth` magnitude that equals bounds[0], in out[0]."""
    value, infinity = bounds[0], bounds[2]
    buffer = np.empty(_BLOCK, bounds.dtype)
    missing = nth
    for row in range(table.shape[0]):
        start = table[row, START]
        last = min(end - start, table[row, SIZE])
        for first in range(max(begin - start, 0), last, _BLOCK):
            magnitudes, _ = _competing(table, row, first, min(first + _BLOCK, last), infinity, buffer)
            least, above = _count(magnitudes, value, value)
            missing -= least - above
            if missing > 0:
                continue
            missing += least - above
            for k in range(magnitudes.size):
                missing -= magnitudes[k] == value
                if missing == 0:
                    out[0] = start + first + k + 1
                    return


def sample(table, lines, width, bounds, values):
    """Magnitudes of `lines` evenly spaced runs of `width` weights; returns how many competing ones there are."""
    total = table[-1, START] + table[-1, SIZE]
    infinity = bounds[2]
    buffer = np.empty(width, bounds.dtype)
    found = row = 0
    for line in range(lines):
        place = line * total // lines
        while place >= table[row, START] + table[row, SIZE]:
            row += 1
        first = place - table[row, START]
        last = min(first + width, table[row, SIZE])
        magnitudes, _ = _competing(table, row, first, last, infinity, buffer)
        for k in range(magnitudes.size):
            values[found] = magnitudes[k]
            found += magnitudes[k] != _TAKEN
    return found


def apply(table, begin, end, bounds, until, kept, out):
    """Zero what is below bounds[0] before position `until`, what is not above it from there on.

    kept: += the number kept in each tensor. out[0]: += the positions of the masks that changed.
    """
    least = bounds[0]
    above = bounds.dtype.type(least + 1)
    new = np.empty(_BLOCK, np.uint8)
    changed = 0
    for row in range(table.shape[0]):
        start = table[row, START]
        first, last = max(begin - start, 0), min(end - start, table[row, SIZE])
        while first < last:
            stop = min(first + _BLOCK, last)
            if start + first < until < start + stop:
                stop = until - start
            block = new[: stop - first]
            weights = _part(table[row, WEIGHTS], bounds, first, stop)
            _keep(weights, least if start + first < until else above, block)
            if table[row, RESERVED]:
                _spare(_part(table[row, RESERVED], uint8, first, stop), block)
            kept[row] += _total(block)
            if table[row, MASK]:
                changed += _replace(block, _part(table[row, MASK], uint8, first, stop))
            if table[row, COUNT]:
                _tally(block, _part(table[row, COUNT], int32, first, stop))
            _erase(weights, block)
            first = stop
    out[0] += changed
