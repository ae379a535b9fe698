"""Compiled products of a batch with a matrix of fixed support: forward, backward, and its non-zeros apart.

A tile is LANES rows of the batch, turned: the values of one feature lie next to each other. What a non-zero
multiplies is then a run of LANES numbers, a few registers full, wherever in the matrix the non-zero is; and
it is these registers, which no loop of numba would keep, that the instructions below are written out for.

Matrices are addresses of contiguous float32, row by row. Sums are in another order than a dense product's.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 64  # of a tile: four registers of 512 bits or eight of 256; 32 and 128 took longer
SIDE = 8  # of the squares that are turned in registers: one of 256 bits holds a row
PART = 16  # partial sums of a gradient, one register; they are added up at the end
BYTES = 4  # of a float32
ALIGNED = 64  # bytes: a register that crosses a line of the cache costs two reads
_FREE = ("contract", "reassoc")  # sums in any order; NaN and infinity stay what they are

Made = tuple[Any, Callable[..., Any]]  # what a numba intrinsic returns: signature and code generator


# -- instructions -------------------------------------------------------------------------------------------


def _vector(length: int) -> ir.VectorType:
    return ir.VectorType(ir.FloatType(), length)


def _unset(length: int) -> ir.Constant:
    return ir.Constant(_vector(length), ir.Undefined)


def _integer(value: int) -> ir.Constant:
    return ir.Constant(ir.IntType(64), value)


def _pick(builder: ir.IRBuilder, one: Any, other: Any, places: Sequence[int]) -> Any:
    """Select lanes of two vectors by index; lanes of `other` follow those of `one`."""
    chosen = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
    return builder.shuffle_vector(one, other, chosen)


def _spread(builder: ir.IRBuilder, value: Any, length: int) -> Any:
    """Fill all lanes with one number."""
    first = builder.insert_element(_unset(length), value, ir.Constant(ir.IntType(32), 0))
    return _pick(builder, first, _unset(length), [0] * length)


def _fold(builder: ir.IRBuilder, vector: Any, length: int, wanted: int) -> Any:
    """Add halves of a vector until `wanted` lanes are left."""
    while length > wanted:
        half = length // 2
        low, high = (_pick(builder, vector, _unset(length), range(at, at + half)) for at in (0, half))
        vector, length = builder.fadd(low, high, _FREE), half
    return vector


def _at(builder: ir.IRBuilder, address: Any, offset: Any, length: int) -> Any:
    """Return a pointer to `length` numbers, `offset` numbers after an address."""
    first = builder.inttoptr(address, ir.FloatType().as_pointer())
    return builder.bitcast(builder.gep(first, [offset]), _vector(length).as_pointer())


def _data(context: Any, builder: ir.IRBuilder, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


@intrinsic
def _floats(typing: Any, address: Any) -> Made:
    """The pointer of an address."""
    pointer = types.CPointer(types.float32)
    return pointer(types.intp), lambda context, builder, signature, given: builder.inttoptr(
        given[0], ir.FloatType().as_pointer()
    )


@intrinsic
def _combine(typing: Any, out: Any, start: Any, values: Any, places: Any, first: Any, end: Any, tile: Any):
    """out ← start + Σ values[k] · row places[k] of the tile, k from `first` to `end`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> Any:
        value_data, place_data = (_data(context, builder, signature.args[i], given[i]) for i in (2, 3))
        total = cgutils.alloca_once_value(builder, _spread(builder, given[1], LANES))
        with cgutils.for_range_slice(builder, given[4], given[5], _integer(1), ir.IntType(64)) as (k, _):
            place = builder.sext(builder.load(builder.gep(place_data, [k])), k.type)
            row = builder.load(
                _at(builder, given[6], builder.mul(place, _integer(LANES)), LANES), align=BYTES
            )
            value = _spread(builder, builder.load(builder.gep(value_data, [k])), LANES)
            product = builder.fmul(value, row, _FREE)
            builder.store(builder.fadd(builder.load(total), product, _FREE), total)
        builder.store(builder.load(total), _at(builder, given[0], _integer(0), LANES), align=BYTES)
        return context.get_dummy_value()

    address = types.intp
    return types.void(address, types.float32, values, places, address, address, address), generate


@intrinsic
def _combine_back(
    typing: Any, out: Any, x: Any, parts: Any, values: Any, places: Any, first: Any, end: Any, tile: Any
) -> Made:
    """As `_combine` from 0, and to the parts of the k-th gradient adds those of x · row places[k]."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> Any:
        part_data, value_data, place_data = (
            _data(context, builder, signature.args[i], given[i]) for i in (2, 3, 4)
        )
        pieces = range(0, LANES, PART)

        def piece(address: Any, offset: Any, at: int) -> Any:
            return builder.load(_at(builder, address, builder.add(offset, _integer(at)), PART), align=BYTES)

        none = ir.Constant(_vector(PART), [0.0] * PART)
        totals = [cgutils.alloca_once_value(builder, none) for _ in pieces]
        x_row = [piece(given[1], _integer(0), at) for at in pieces]
        with cgutils.for_range_slice(builder, given[5], given[6], _integer(1), ir.IntType(64)) as (k, _):
            place = builder.sext(builder.load(builder.gep(place_data, [k])), k.type)
            first = builder.mul(place, _integer(LANES))
            number = builder.load(builder.gep(value_data, [k]))
            value = _spread(builder, number, PART)
            mine = builder.gep(part_data, [builder.mul(k, _integer(PART))])
            mine = builder.bitcast(mine, _vector(PART).as_pointer())
            share = builder.load(mine, align=BYTES)
            for total, x_piece, at in zip(totals, x_row, pieces, strict=True):
                row = piece(given[7], first, at)
                builder.store(
                    builder.fadd(builder.load(total), builder.fmul(value, row, _FREE), _FREE), total
                )
                share = builder.fadd(share, builder.fmul(x_piece, row, _FREE), _FREE)
            builder.store(share, mine, align=BYTES)
        for total, at in zip(totals, pieces, strict=True):
            builder.store(builder.load(total), _at(builder, given[0], _integer(at), PART), align=BYTES)
        return context.get_dummy_value()

    address = types.intp
    return types.void(address, address, parts, values, places, address, address, address), generate


def _adds_up(length: int) -> Callable[[int], float]:
    """Make an intrinsic that adds up `length` numbers at an address."""

    @intrinsic
    def total(typing: Any, address: Any) -> Made:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> Any:
            vector = builder.load(_at(builder, given[0], _integer(0), length), align=BYTES)
            return builder.extract_element(_fold(builder, vector, length, 1), ir.Constant(ir.IntType(32), 0))

        return types.float32(types.intp), generate

    return total


_sum_of_row = _adds_up(LANES)
_sum_of_parts = _adds_up(PART)


@intrinsic
def _turn(typing: Any, source: Any, source_step: Any, target: Any, target_step: Any) -> Made:
    """A square of SIDE rows, each a step after the one before, turned."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> Any:
        def place(address: Any, step: Any, row: int) -> Any:
            return _at(builder, address, builder.mul(_integer(row), step), SIDE)

        rows = [builder.load(place(given[0], given[1], i), align=BYTES) for i in range(SIDE)]
        low = [lane for i in range(SIDE // 2) for lane in (i, SIDE + i)]
        high = [lane + SIDE // 2 for lane in low]
        # Rows that lie half the square apart, shuffled into each other like cards, log₂ SIDE times.
        for _ in range(SIDE.bit_length() - 1):
            pairs = [(rows[i], rows[i + SIDE // 2]) for i in range(SIDE // 2)]
            rows = [_pick(builder, one, other, half) for one, other in pairs for half in (low, high)]
        for i, row in enumerate(rows):
            builder.store(row, place(given[2], given[3], i), align=BYTES)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp), generate


# -- loops --------------------------------------------------------------------------------------------------


@njit
def _transpose(source, source_step, rows, columns, target, target_step):
    """target[j, i] ← source[i, j]; the steps are the lengths of their rows."""
    whole_rows, whole_columns = rows // SIDE * SIDE, columns // SIDE * SIDE
    for j in range(0, whole_columns, SIDE):
        for i in range(0, whole_rows, SIDE):
            from_here, to_here = i * source_step + j, j * target_step + i
            _turn(source + BYTES * from_here, source_step, target + BYTES * to_here, target_step)
    if whole_rows == rows and whole_columns == columns:
        return
    given = carray(_floats(source), rows * source_step)
    turned = carray(_floats(target), columns * target_step)
    for j in range(whole_columns, columns):
        for i in range(whole_rows):
            turned[j * target_step + i] = given[i * source_step + j]
    for j in range(columns):
        for i in range(whole_rows, rows):
            turned[j * target_step + i] = given[i * source_step + j]


@njit
def _tile(rows):
    """Zeros for a tile, and its address."""
    held = np.zeros(rows * LANES + ALIGNED // BYTES, np.float32)
    return held, (held.ctypes.data + ALIGNED - 1) // ALIGNED * ALIGNED


@njit
def _gathered(address, size, places):
    numbers, gathered = carray(_floats(address), size), np.empty(places.size, np.float32)
    for k in range(places.size):
        gathered[k] = numbers[places[k]]
    return gathered


@njit(nogil=True)
def forward(starts, columns, places, weight, bias, x, tiles, y, batch, width):
    """y ← x Wᵀ + b. starts, columns, places: the non-zeros row by row; bias: 0 for none.

    `starts` says where each row begins and the last one ends; `places` where the non-zeros are in `weight`;
    `tiles`, an aligned address, gets x in whole tiles, which `backward` reads.
    """
    height = starts.size - 1
    values, offset = _gathered(weight, height * width, places), np.zeros(height, np.float32)
    if bias != 0:
        offset[:] = carray(_floats(bias), height)
    y_held, y_tile = _tile(SIDE)
    for n in range(0, batch, LANES):
        lanes, x_tile = min(LANES, batch - n), tiles + BYTES * n * width
        if lanes < LANES:
            carray(_floats(x_tile), LANES * width)[:] = 0
        _transpose(x + BYTES * n * width, width, lanes, width, x_tile, LANES)
        for top in range(0, height, SIDE):
            rows = min(SIDE, height - top)
            for i in range(rows):
                r = top + i
                out = y_tile + BYTES * LANES * i
                _combine(out, offset[r], values, columns, starts[r], starts[r + 1], x_tile)
            _transpose(y_tile, LANES, rows, lanes, y + BYTES * (n * height + top), height)
    return y_held.size  # the tile must outlive its address


@njit(nogil=True)
def backward(starts, rows, places, weight, tiles, dy, dx, dweight, dbias, batch, height):
    """dx ← dy W, dweight ← the non-zeros of dyᵀ x (others are left), dbias ← Σ dy; dx, dbias: 0 for none.

    starts, rows, places: the non-zeros column by column; tiles: what `forward` made of x.
    """
    width = starts.size - 1
    values, parts = _gathered(weight, height * width, places), np.zeros(places.size * PART, np.float32)
    summed = np.zeros(height, np.float32)
    dy_held, dy_tile = _tile(height)
    dx_held, dx_tile = _tile(SIDE)
    for n in range(0, batch, LANES):
        lanes, x_tile = min(LANES, batch - n), tiles + BYTES * n * width
        if lanes < LANES:  # what is left of the tile before must not count
            dy_held[:] = 0
        _transpose(dy + BYTES * n * height, height, lanes, height, dy_tile, LANES)
        if dbias != 0:
            for r in range(height):
                summed[r] += _sum_of_row(dy_tile + BYTES * LANES * r)
        for left in range(0, width, SIDE):
            columns = min(SIDE, width - left)
            for i in range(columns):
                c = left + i
                out, x_row = dx_tile + BYTES * LANES * i, x_tile + BYTES * LANES * c
                _combine_back(out, x_row, parts, values, rows, starts[c], starts[c + 1], dy_tile)
            if dx != 0:
                _transpose(dx_tile, LANES, columns, lanes, dx + BYTES * (n * width + left), width)
    gradient = carray(_floats(dweight), height * width)
    for k in range(places.size):
        gradient[places[k]] = _sum_of_parts(parts.ctypes.data + BYTES * PART * k)
    if dbias != 0:
        carray(_floats(dbias), height)[:] = summed
    return dy_held.size + dx_held.size  # the tiles must outlive their addresses


@njit(nogil=True)
def take(sources, size, places, targets):
    """Into each row of `targets`, the numbers at `places` of the tensor of `size` at that address."""
    for row in range(sources.size):
        numbers = carray(_floats(sources[row]), size)
        for k in range(places.size):
            targets[row, k] = numbers[places[k]]


@njit(nogil=True)
def put(targets, size, places, sources):
    """The way back of `take`."""
    for row in range(targets.size):
        numbers = carray(_floats(targets[row]), size)
        for k in range(places.size):
            numbers[places[k]] = sources[row, k]
