"""Formats of sparse matrices: their bytes, their files, and what a product costs on this machine. No torch.

In the files `weights` are all parameters by name, `matrices` the names of those that may be sparse; the
others (biases, norms, tables of rows) are stored as they are.
"""

import io
import timeit
import zipfile
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from safetensors.numpy import save
from scipy import sparse

Weights = Mapping[str, np.ndarray]

DENSE = "dense.npz"  # of a CSR archive: what is no sparse matrix
STAMP = (1980, 1, 1, 0, 0, 0)  # of every member of an archive: the same weights are the same bytes
VALUE_BYTES = 4  # float32
INDEX_BYTES = 4  # int32, as SciPy stores it
FORMATS = ("dense", "csr", "bitmask")
SIDE = 1_000  # of the matrix that is measured: past the caches of a core at 4 MB
REPEATS = 5  # the least of so many: what else runs only ever adds


def stored_bytes(rows: int, cols: int, nonzeros: int) -> dict[str, int]:
    """float32 values; CSR with a column index for each non-zero and a pointer for each row; one bit a place.

    >>> stored_bytes(300, 200, 24_000)
    {'dense': 240000, 'csr': 193204, 'bitmask': 103500}
    """
    places = rows * cols
    return {
        "dense": VALUE_BYTES * places,
        "csr": (VALUE_BYTES + INDEX_BYTES) * nonzeros + INDEX_BYTES * (rows + 1),
        "bitmask": VALUE_BYTES * nonzeros + -(-places // 8),
    }


def product_seconds(densities: Sequence[float], batch: int, side: int = SIDE) -> tuple[float, list[float]]:
    """Seconds of a (side, side) matrix times `batch` columns: dense, then CSR at each density."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((side, batch), dtype=np.float32)
    dense = rng.standard_normal((side, side), dtype=np.float32)
    like = {"format": "csr", "dtype": np.float32, "rng": rng}
    matrices = [sparse.random_array(dense.shape, density=density, **like) for density in densities]
    seconds = [min(timeit.repeat(lambda m=m: m @ x, number=1, repeat=REPEATS)) for m in (dense, *matrices)]
    return seconds[0], seconds[1:]


def break_even(densities: Sequence[float], dense: float, csr: Sequence[float]) -> float | None:
    """The density below which the CSR product is faster, along straight lines; None if it never or always is.

    >>> break_even([0.1, 0.3], 2.0, [1.0, 3.0])
    0.2
    """
    for (low, fast), (high, slow) in zip(
        zip(densities, csr, strict=True), zip(densities[1:], csr[1:], strict=True), strict=False
    ):
        if fast <= dense < slow:
            return low + (high - low) * (dense - fast) / (slow - fast)
    return None


def dense_bytes(weights: Weights) -> int:
    """What the parameters take as plain numbers, without any file around them.

    >>> dense_bytes({"w": np.zeros((2, 3), np.float32), "b": np.zeros(2, np.float32)})
    32
    """
    return sum(array.nbytes for array in weights.values())


def number_bytes(form: str, weights: Weights, matrices: Collection[str]) -> int:
    """What the numbers alone take in a file of this form, without the names, shapes and headers around them.

    >>> weights = {"w": np.eye(4, dtype=np.float32), "b": np.zeros(4, np.float32)}
    >>> [number_bytes(form, weights, ["w"]) for form in ("dense", "csr", "bitmask", "safetensors")]
    [80, 68, 34, 96]
    """
    found = dense_bytes(weights)
    for name in matrices:
        size = stored_bytes(*weights[name].shape, int(np.count_nonzero(weights[name])))
        if form == "safetensors":
            found += weights[name].size  # a byte a weight for the mask
        elif form in size:
            found += size[form] - size["dense"]
    return found


def masked(weights: Weights, matrices: Collection[str]) -> bytes:
    """One safetensors file: every parameter, and of each matrix `NAME.mask`, where it is not zero."""
    masks = {f"{name}.mask": weights[name] != 0 for name in matrices}
    return save({name: np.ascontiguousarray(a) for name, a in (dict(weights) | masks).items()})


def bitmask(weights: Weights, matrices: Collection[str]) -> bytes:
    """One safetensors file: of each matrix one bit a weight, row by row, lowest bit first, and what is kept.

    `NAME.bits` are bytes, `NAME.values` the non-zeros in the same order, `NAME.shape` rows and columns.
    """
    arrays = {name: np.ascontiguousarray(a) for name, a in weights.items() if name not in matrices}
    for name in matrices:
        kept = weights[name] != 0
        arrays[f"{name}.bits"] = np.packbits(kept.ravel(), bitorder="little")
        arrays[f"{name}.values"] = weights[name][kept]
        arrays[f"{name}.shape"] = np.array(kept.shape, dtype=np.int64)
    return save(arrays)


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
