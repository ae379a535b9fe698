"""Compiled passes over the bits of weights: count and collect, find a tie, apply; block by block.

A magnitude orders as its bits without the sign do, read as an integer. A table has one row a tensor, with the
addresses and sizes named below; positions count through all tensors in order, row by row.

For what is not given, a mask say, a pass gives the loops over a block a scratch block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, int32, njit, types, uint8, uint32, uint64
from numba.extending import intrinsic

from sparsecore.engine.projection.cpu_blocks import (
    BLOCK,
    STRIP,
    TAKEN,
    collect,
    count_equal,
    cut,
    cut_and_count,
    examine,
    take_magnitudes,
    tally,
)

WEIGHTS, MASK, COUNT, RESERVED, START, SIZE = range(6)  # the columns of a table; an address of 0: not given
ABOVE, INSIDE, FOUND, TOP = range(4)  # what `survey` tells
LANES = 4  # histograms side by side: in a run of equal values, none waits for the count before it
SAMPLED = 3.0  # standard deviations of a sampled rank: one search in 400 misses the bracket
_GOLDEN = np.uint64(2654435769)  # 2³² by the golden ratio: its multiples are the most evenly spread


@intrinsic
def _pointer(typing: Any, address: Any, like: Any) -> Any:
    """A pointer to elements of the type of `like`, an array or a type."""
    element = like.dtype

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_data_type(element).as_pointer())

    return types.CPointer(element)(types.int64, like), generate


@njit
def _part(address, like, first, last, scratch):
    """The elements from `first` to `last` at an address; of the scratch, when it is not given."""
    if address == 0:
        return scratch[: last - first]
    return carray(_pointer(address, like), (last,))[first:last]


# -- passes over the positions from `begin` to `end` --------------------------------------------------------


@njit
def _competing(table, row, first, last, buffer):
    """A full block of weights and which of their bits to use; and the largest of those left out."""
    of = buffer.dtype.type
    weights = _part(table[row, WEIGHTS], buffer, first, last, buffer)
    if last - first == BLOCK and table[row, RESERVED] == 0:
        return weights, of(np.iinfo(buffer.dtype).max), 0
    none = np.zeros(BLOCK, np.uint8)
    top = take_magnitudes(weights, _part(table[row, RESERVED], uint8, first, last, none), buffer)
    buffer[last - first :] = TAKEN
    return buffer, of(TAKEN), np.int64(top)


@njit
def survey(table, begin, end, low, high, values, places, out):
    """Count what is above `high`, and from `low` to it; collect the latter; find the largest of all.

    values, places: the magnitudes inside and their positions from `begin` on, block by block: out[FOUND] of
    them, -1 when there may be no room for all.
    """
    of = values.dtype.type
    least, most = of(low), of(high)
    buffer, flags = np.empty(BLOCK, values.dtype), np.empty(STRIP, np.uint8)
    above = inside = found = top = 0
    for row in range(table.shape[0]):
        start = table[row, START]
        end_here = min(end - start, table[row, SIZE])
        for first in range(max(begin - start, 0), end_here, BLOCK):
            weights, use, other = _competing(table, row, first, min(first + BLOCK, end_here), buffer)
            if found >= 0 and found + BLOCK < values.size:
                upper, more = examine(weights, use, least, most, flags)
                base = start + first - begin
                here = collect(flags, weights, use, base, values, places, found) - found
                found += here
            else:
                upper, more, here = tally(weights, use, least, most)
                found = -1
            above, inside, top = above + more, inside + here, max(top, upper, other)
    out[ABOVE], out[INSIDE], out[FOUND], out[TOP] = above, inside, found, top


@njit
def histogram(table, begin, end, shift, over, prefix, bins, like):
    """Count by their bits from `shift` up to `over` those that begin with `prefix`; the largest of all.

    bins: one row for each value of these bits; its `LANES` columns are to be summed.
    """
    mask = bins.shape[0] - 1
    buffer, none = np.empty(BLOCK, like.dtype), np.zeros(BLOCK, np.uint8)
    top = 0
    for row in range(table.shape[0]):
        start = table[row, START]
        end_here = min(end - start, table[row, SIZE])
        for first in range(max(begin - start, 0), end_here, BLOCK):
            last = min(first + BLOCK, end_here)
            weights = _part(table[row, WEIGHTS], like, first, last, buffer)
            reserved = _part(table[row, RESERVED], uint8, first, last, none)
            magnitudes = buffer[: last - first]
            top = max(top, np.int64(take_magnitudes(weights, reserved, magnitudes)))
            for k in range(magnitudes.size):
                bits = np.int64(magnitudes[k])
                if bits >> over == prefix:
                    bins[(bits >> shift) & mask, k & (LANES - 1)] += 1
    return top


@njit
def nth_equal(table, begin, end, value, nth, like):
    """The position after the `nth` magnitude that equals a value; -1 if there are fewer."""
    buffer, none = np.empty(BLOCK, like.dtype), np.zeros(BLOCK, np.uint8)
    for row in range(table.shape[0]):
        start = table[row, START]
        end_here = min(end - start, table[row, SIZE])
        for first in range(max(begin - start, 0), end_here, BLOCK):
            last = min(first + BLOCK, end_here)
            weights = _part(table[row, WEIGHTS], like, first, last, buffer)
            reserved = _part(table[row, RESERVED], uint8, first, last, none)
            magnitudes = buffer[: last - first]
            take_magnitudes(weights, reserved, magnitudes)
            equal = count_equal(magnitudes, like.dtype.type(value))
            if equal < nth:
                nth -= equal
                continue
            for k in range(magnitudes.size):
                nth -= magnitudes[k] == value
                if nth == 0:
                    return start + first + k + 1
    return -1


@njit
def sample(table, count, values):
    """The competing among one magnitude of each of `count` equal stretches; returns how many.

    Where in its stretch follows no period: rows and columns of weights are alike.
    """
    total = table[-1, START] + table[-1, SIZE]
    stretch, length = total / count, uint64(total // count)
    none = np.empty(0, np.uint8)
    largest = np.iinfo(values.dtype).max
    found = index = 0
    for row in range(table.shape[0]):
        start, size = table[row, START], table[row, SIZE]
        weights = _part(table[row, WEIGHTS], values, 0, size, values)
        spares = table[row, RESERVED] != 0
        reserved = _part(table[row, RESERVED], uint8, 0, size if spares else 0, none)
        while index < count:
            turn = uint64(uint32(uint64(index) * _GOLDEN))
            place = np.int64(index * stretch) + np.int64((turn * length) >> uint64(32)) - start
            if place >= size:
                break
            index += 1
            values[found] = weights[place] & largest
            found += not (spares and reserved[place])
    return found


@njit
def apply(table, begin, end, bits, until, kept, like):
    """Zero what is below `bits`, from position `until` on also what equals them.

    kept: += the number kept in each tensor and, at the end, of the positions of the masks that changed.
    """
    least, above = like.dtype.type(bits), like.dtype.type(bits + 1)
    new, none = np.empty(BLOCK, np.uint8), np.zeros(BLOCK, np.uint8)
    unused, uncounted = np.empty(0, like.dtype), np.empty(0, np.int32)
    for row in range(table.shape[0]):
        start = table[row, START]
        first, end_here = max(begin - start, 0), min(end - start, table[row, SIZE])
        while first < end_here:
            last = min(first + BLOCK, end_here)
            if first < until - start < last:
                last = until - start
            enough = least if first < until - start else above
            weights = _part(table[row, WEIGHTS], like, first, last, unused)
            reserved = _part(table[row, RESERVED], uint8, first, last, none)
            mask = _part(table[row, MASK], uint8, first, last, new)
            if table[row, COUNT]:
                counts = _part(table[row, COUNT], int32, first, last, uncounted)
                stay, changed = cut_and_count(weights, reserved, enough, mask, counts)
            else:
                stay, changed = cut(weights, reserved, enough, mask)
            kept[row] += stay
            kept[-1] += changed
            first = last


@njit
def nth_largest(values, nth, low, high):
    """The `nth` largest of some magnitudes that lie from `low` to `high`.

    By halves of the bracket: many counts of few values are quick, and equal values do no harm.
    """
    of = values.dtype.type
    while low < high:
        middle = high - (high - low) // 2
        least = of(middle)
        reached = int32(0)
        for k in range(values.size):
            reached = int32(reached + int32(values[k] >= least))
        if reached >= nth:
            low = middle
        else:
            high = middle - 1
    return low


# -- all of it at once, for weights that are few -------------------------------------------------------------


@njit
def _about_rank(values, part, infinity):
    """A bracket about the magnitude that a part of the weights exceeds, from a sample of them."""
    deviation = SAMPLED * np.sqrt(values.size * part * (1 - part)) + 1
    above = int(np.floor(values.size * part - deviation))
    least = int(np.ceil(values.size * part + deviation)) + 1
    low = 0 if least > values.size else nth_largest(values, least, 0, infinity)
    return low, infinity if above < 1 else nth_largest(values, above, 0, infinity)


@njit
def find(table, keep, part, low, high, infinity, drawn, like):
    """The bits of the `keep`-th largest, the position up to which equals are among them, the largest of all.

    part: what part of the competing weights `keep` is. low, high: the bracket about a guess, or `low` above
    `high`. drawn: the size of the sample. The bits are -1 if the largest is NaN.
    """
    total, out = table[-1, START] + table[-1, SIZE], np.empty(4, np.int64)
    values = np.empty(max(total // 8 + 2 * BLOCK, drawn), like.dtype)
    places = np.empty(values.size, np.int32)
    least, most = 0, infinity  # what is known of the threshold
    attempt = 0 if low <= high else 1
    while True:
        if attempt == 1:
            size = sample(table, drawn, values) if drawn else 0
            low, high = _about_rank(values[:size], part, infinity)
        elif attempt > 1:  # what is left of the whole range, by halves
            low, high = least + (most - least + 1) // 2, most
        attempt += 1
        room = 0 if low == high else values.size
        survey(table, 0, total, low, high, values[:room], places[:room], out)
        nth = keep - out[ABOVE]
        if out[TOP] > infinity:
            return -1, total, out[TOP]
        if nth < 1:
            least = max(least, high + 1)
        elif nth > out[INSIDE]:
            most = min(most, low - 1)
        elif room == 0:
            return low, nth_equal(table, 0, total, low, nth, like), out[TOP]
        elif out[FOUND] < 0:
            least, most = max(least, low), min(most, high)
        else:
            inside = out[INSIDE]
            bits = nth_largest(values[:inside], nth, low, high)
            return bits, _after(values[:inside], places, bits, nth), out[TOP]


@njit
def _after(values, places, bits, nth):
    """The position after the `nth` largest one, which is among the equals of `bits`; overwrites places."""
    equal = 0
    for k in range(values.size):
        nth -= values[k] > bits
        places[equal] = places[k]
        equal += values[k] == bits
    return nth_largest(places[:equal], equal - nth + 1, 0, np.int64(places[:equal].max())) + 1
