"""The weights of a network as bytes: dense with masks, SciPy's CSR, and a bit a weight with the kept values.

`weights` are all parameters by name, `matrices` the names of those that are weight matrices and may be
sparse; the others (biases, norms, tables of rows) are stored as they are.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Mapping

import numpy as np
from safetensors.numpy import save
from scipy import sparse

Weights = Mapping[str, np.ndarray]

DENSE = "dense.npz"  # of a CSR archive: what is no sparse matrix
STAMP = (1980, 1, 1, 0, 0, 0)  # of every member of an archive: the same weights are the same bytes


def dense_bytes(weights: Weights) -> int:
    """What the parameters take as plain numbers, without any file around them.

    >>> dense_bytes({"w": np.zeros((2, 3), np.float32), "b": np.zeros(2, np.float32)})
    32
    """
    return sum(array.nbytes for array in weights.values())


def masked(weights: Weights, matrices: Collection[str]) -> bytes:
    """One safetensors file: every parameter, and of each matrix `NAME.mask`, where it is not zero."""
    masks = {f"{name}.mask": weights[name] != 0 for name in matrices}
    return save({name: np.ascontiguousarray(a) for name, a in (dict(weights) | masks).items()})


def bitmask(weights: Weights, matrices: Collection[str]) -> bytes:
    """One safetensors file: of each matrix one bit a weight, row by row, lowest bit first, and what is kept.

    `NAME.bits` are bytes, `NAME.values` the non-zeros in the same order, `NAME.shape` rows and columns.
    `from_bitmask` reads it.
    """
    arrays = {name: np.ascontiguousarray(a) for name, a in weights.items() if name not in matrices}
    for name in matrices:
        kept = weights[name] != 0
        arrays[f"{name}.bits"] = np.packbits(kept.ravel(), bitorder="little")
        arrays[f"{name}.values"] = weights[name][kept]
        arrays[f"{name}.shape"] = np.array(kept.shape, dtype=np.int64)
    return save(arrays)


def from_bitmask(bits: np.ndarray, values: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """The matrix of its bits, its kept values and its shape.

    >>> from_bitmask(np.array([0b101], np.uint8), np.array([7.0, 9.0]), np.array([1, 3]))
    array([[7., 0., 9.]])
    """
    rows, columns = (int(side) for side in shape)
    kept = np.unpackbits(bits, count=rows * columns, bitorder="little").astype(bool)
    matrix = np.zeros(rows * columns, dtype=values.dtype)
    matrix[kept] = values
    return matrix.reshape(rows, columns)


def csr(weights: Weights, matrices: Collection[str]) -> bytes:
    """A zip: of each matrix a `NAME.npz` for `scipy.sparse.load_npz`, and `dense.npz` with the rest."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in matrices:
            member = io.BytesIO()
            sparse.save_npz(member, sparse.csr_array(weights[name]), compressed=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npz", STAMP), member.getvalue())
        rest = io.BytesIO()
        np.savez(rest, **{name: array for name, array in weights.items() if name not in matrices})
        archive.writestr(zipfile.ZipInfo(DENSE, STAMP), rest.getvalue())
    return file.getvalue()
