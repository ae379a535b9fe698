"""Compiled passes over the bits of weights: count and collect, find a tie, apply; block by block.

Magnitudes order as their bits without the sign, read as integers. A table has one row per tensor, with the
addresses and sizes named below; positions count through all tensors in order, row by row.

For an array that is not given, such as a mask, a pass hands a scratch block to the loops.
"""

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
    count,
    count_equal,
    cut,
    examine,
    settle,
    take_magnitudes,
    tally,
)

WEIGHTS, MASK, COUNT, RESERVED, START, SIZE = range(6)  # the columns of a table; an address of 0: not given
ABOVE, INSIDE, FOUND, TOP = range(4)  # the entries of `survey`'s output
LANES = 4  # interleaved histograms: in a run of equal values no increment waits for the one before
SAMPLED = 3.0  # standard deviations of a sampled rank: one search in 400 misses the bracket
_GOLDEN = np.uint64(2654435769)  # 2³² by the golden ratio: its multiples are the most evenly spread


@intrinsic
def _pointer(typing: Any, address: Any, like: Any) -> Any:
    """Return a pointer to elements of the type of `like`, an array or a type."""
    element = like.dtype

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_data_type(element).as_pointer())

    return types.CPointer(element)(types.int64, like), generate


@njit
def _part(address, like, first, last, scratch):
    """Return the elements from `first` to `last` at an address; the scratch block for address 0."""
    if address == 0:
        return scratch[: last - first]
    return carray(_pointer(address, like), (last,))[first:last]


# -- passes over the positions from `begin` to `end` --------------------------------------------------------


@njit
def _competing(table, row, first, last, buffer):
    """Return a full block of weights and the bits to use of each; and the largest reserved magnitude."""
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
    """Count the values above `high` and from `low` to `high`; collect the latter; find the largest.

    values, places: the magnitudes inside and their positions from `begin` on, block by block: out[FOUND] of
    them, or -1 if they may not fit.
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
    """Count the values that begin with `prefix` by their bits from `shift` to `over`; find the largest.

    bins: one row per value of these bits; the caller sums its `LANES` columns.
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
    """Return the position after the `nth` magnitude that equals a value; -1 if there are fewer."""
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
    """Sample one magnitude from each of `count` equal stretches; returns the number that compete.

    Positions within the stretches follow no period, because rows and columns of weights are alike.
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
def apply(table, begin, end, bits, until, pending, kept, like):
    """Zero the magnitudes below `bits`, and from position `until` on those equal to it.

    pending: the steps that are still to be added to the counts of the weights in the mask; this one is then
    one more of them. -1 adds this one now, with none pending.
    kept: += the kept weights of each tensor and, in the last entry, the changed mask positions.
    """
    least, above = like.dtype.type(bits), like.dtype.type(bits + 1)
    new, none = np.empty(BLOCK, np.uint8), np.zeros(BLOCK, np.uint8)
    unused, uncounted = np.empty(0, like.dtype), np.empty(BLOCK, np.int32)
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
            mask = _part(table[row, MASK], uint8, first, last, none)
            stay, changed = cut(weights, reserved, enough, mask, new)
            if table[row, COUNT] and (pending < 0 or changed):
                counts = _part(table[row, COUNT], int32, first, last, uncounted)
                if pending < 0:
                    count(new, counts)
                else:
                    settle(new, mask, counts, pending)
            if table[row, MASK] and changed:
                mask[:] = new[: last - first]
            kept[row] += stay
            kept[-1] += changed
            first = last


@njit
def nth_largest(values, nth, low, high):
    """Return the `nth` largest of magnitudes that lie from `low` to `high`.

    The bracket is halved repeatedly: counting few values many times is fast, and equal values do no harm.
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


# -- the whole search in one call, for few weights ---------------------------------------------------------


@njit
def _about_rank(values, part, infinity):
    """Return a bracket around a quantile of the magnitudes, estimated from a sample."""
    deviation = SAMPLED * np.sqrt(values.size * part * (1 - part)) + 1
    above = int(np.floor(values.size * part - deviation))
    least = int(np.ceil(values.size * part + deviation)) + 1
    low = 0 if least > values.size else nth_largest(values, least, 0, infinity)
    return low, infinity if above < 1 else nth_largest(values, above, 0, infinity)


@njit
def find(table, keep, part, low, high, infinity, drawn, like):
    """Return the bits of the `keep`-th largest, the position up to which ties survive, and the largest.

    part: `keep` as a share of the competing weights. low, high: the bracket around a guess, or `low` above
    `high` for none. drawn: the sample size. The bits are -1 if the largest is NaN.
    """
    total, out = table[-1, START] + table[-1, SIZE], np.empty(4, np.int64)
    if keep == 0:
        survey(table, 0, total, infinity, infinity, np.empty(0, like.dtype), np.empty(0, np.int32), out)
        return infinity + 1, total, out[TOP]
    values = np.empty(max(total // 8 + 2 * BLOCK, drawn), like.dtype)
    places = np.empty(values.size, np.int32)
    least, most = 0, infinity  # bounds of the threshold
    attempt = 0 if low <= high else 1
    while True:
        if attempt == 1:
            size = sample(table, drawn, values) if drawn else 0
            low, high = _about_rank(values[:size], part, infinity)
        elif attempt > 1:  # halve the remaining range
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
def project_groups(table, rows, keeps, reach, infinity, drawn, pending, bits, kept, like):
    """Find the cut of every group of tensors, then apply them all; nothing is changed if one has a NaN.

    rows: the first row of each group, and the end; positions count anew in each group. bits: of each group's
    last cut, -1 for none: the threshold is looked for within `reach` of it; overwritten. pending: as in
    `apply`. kept: overwritten with what that adds, group after group. Returns the first group with a NaN, or
    -1.
    """
    found, until = np.empty(keeps.size, np.int64), np.empty(keeps.size, np.int64)
    for group in range(keeps.size):
        part = table[rows[group] : rows[group + 1]]
        total, low, high = part[-1, START] + part[-1, SIZE], 1, 0
        if 0 < bits[group] <= infinity:
            low, high = max(bits[group] - reach, 0), min(bits[group] + reach, infinity)
        sampled = drawn if total > drawn else 0
        share = keeps[group] / max(total, 1)
        found[group], until[group], top = find(part, keeps[group], share, low, high, infinity, sampled, like)
        if top > infinity:
            return group
    kept[:] = 0
    for group in range(keeps.size):
        first, end = rows[group], rows[group + 1]
        total = table[end - 1, START] + table[end - 1, SIZE]
        counted = kept[first + group : end + group + 1]
        apply(table[first:end], 0, total, found[group], until[group], pending, counted, like)
    bits[:] = found
    return -1


@njit
def _after(values, places, bits, nth):
    """Return the position after the `nth` largest, one of the ties at `bits`; overwrites `places`."""
    equal = 0
    for k in range(values.size):
        nth -= values[k] > bits
        places[equal] = places[k]
        equal += values[k] == bits
    return nth_largest(places[:equal], equal - nth + 1, 0, np.int64(places[:equal].max())) + 1
