"""Loops over one block of weights as integers: the inner loops of the passes in `cpu_kernels`.

They have no branches and no running index, so that the compiler vectorises them.
"""

import numpy as np
from numba import int32, njit, uint8, uint64
from numba.cpython.unsafe.numbers import trailing_zeros

BLOCK = 4096  # weights: a block and its buffers fit the second-level cache even at 8 bytes each
STRIP = BLOCK // 8
TAKEN = -1  # below every magnitude: a reserved weight does not compete


@njit
def examine(weights, use, low, high, flags):
    """Flag values from `low` to `high`; returns the largest and the count above `high`. use: bits to compare.

    A full block. A byte of the flags has one bit for each of eight weights, `STRIP` apart.
    """
    of = weights.dtype.type
    top = of(0)
    above = of(0)
    for j in range(STRIP):
        byte = of(0)
        for strip in range(8):
            bits = of(weights[strip * STRIP + j] & use)
            top = max(top, bits)
            above = of(above + of(bits > high))
            byte = of(byte | (of(1 << strip) if (bits >= low) & (bits <= high) else of(0)))
        flags[j] = uint8(byte)
    return np.int64(top), np.int64(above)


@njit
def collect(flags, weights, use, begin, values, places, found):
    """Append the flagged values; eight bytes of flags are read as one word."""
    words = flags.view(np.uint64)
    free = uint64(found)
    for j in range(uint64(STRIP // 8)):
        word = words[j]
        while word != uint64(0):
            bit = uint64(trailing_zeros(word))
            k = uint64(uint64(8) * j + (bit >> uint64(3)) + uint64(STRIP) * (bit & uint64(7)))
            values[free] = weights[k] & use
            places[free] = int32(begin + np.int64(k))
            free = uint64(free + uint64(1))
            word = uint64(word & uint64(word - uint64(1)))
    return np.int64(free)


@njit
def tally(weights, use, low, high):
    """Return the largest, the count above `high`, and the count from `low` to `high`."""
    of = weights.dtype.type
    top = of(0)
    above = of(0)
    least = of(0)
    for k in range(weights.size):
        bits = of(weights[k] & use)
        top = max(top, bits)
        above = of(above + of(bits > high))
        least = of(least + of(bits >= low))
    return np.int64(top), np.int64(above), np.int64(least) - np.int64(above)


@njit
def take_magnitudes(weights, reserved, out):
    of = weights.dtype.type
    largest = np.iinfo(weights.dtype).max
    top = of(0)
    for k in range(weights.size):
        bits = of(weights[k] & largest)
        top = max(top, bits)
        out[k] = bits if reserved[k] == 0 else of(TAKEN)
    return top


@njit
def count_equal(magnitudes, value):
    of = magnitudes.dtype.type
    equal = of(0)
    for k in range(magnitudes.size):
        equal = of(equal + of(magnitudes[k] == value))
    return np.int64(equal)


@njit
def cut(weights, reserved, least, mask, new):
    """Zero the magnitudes below `least` and write the support to `new`.

    Returns the kept weights and the positions in which `new` differs from `mask`.
    """
    of = weights.dtype.type
    largest = np.iinfo(weights.dtype).max
    kept = int32(0)
    changed = int32(0)
    for k in range(weights.size):
        stays = (of(weights[k] & largest) >= least) | (reserved[k] != 0)
        one = uint8(stays)
        kept = int32(kept + int32(one))
        changed = int32(changed + int32(one ^ mask[k]))
        new[k] = one
        weights[k] = weights[k] if stays else of(0)
    return kept, changed


@njit
def count(new, counts):
    """Add one to the counts of the kept weights."""
    for k in range(counts.size):
        counts[k] = int32(counts[k] + int32(new[k]))


@njit
def settle(new, mask, counts, pending):
    """Correct the counts where the support changes: of `pending` steps that only the mask has counted so far.

    A weight that leaves gets them; one that enters gets their negative, since all that is pending will be
    added to it later. Few weights change, so most counts are not even read; masks are compared by eights.
    """
    whole = mask.size // 8
    before, after = mask[: 8 * whole].view(np.uint64), new[: 8 * whole].view(np.uint64)
    for j in range(whole):
        differ = before[j] ^ after[j]
        while differ != uint64(0):
            place = trailing_zeros(differ) & uint64(56)
            k = uint64(uint64(8) * uint64(j) + (place >> uint64(3)))
            counts[k] += pending if mask[k] else -pending
            differ = uint64(differ & ~(uint64(1) << place))
    for k in range(8 * whole, mask.size):
        counts[k] += pending * (np.int64(mask[k]) - np.int64(new[k]))
