"""Bytes of a sparse matrix in three formats, and what its product costs on this machine. No torch."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from scipy import sparse

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


def smallest(rows: int, cols: int, nonzeros: int) -> str:
    """The format with the fewest bytes.

    >>> smallest(300, 200, 600), smallest(300, 200, 24_000), smallest(300, 200, 60_000)
    ('csr', 'bitmask', 'dense')
    """
    found = stored_bytes(rows, cols, nonzeros)
    return min(FORMATS, key=found.__getitem__)


def product_seconds(densities: Sequence[float], batch: int, side: int = SIDE) -> tuple[float, list[float]]:
    """Seconds of a (side, side) matrix times `batch` columns: dense, then CSR at each density."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((side, batch), dtype=np.float32)
    dense = rng.standard_normal((side, side), dtype=np.float32)
    matrices = [_sparse(dense, density, rng) for density in densities]
    return _least(dense, x), [_least(matrix, x) for matrix in matrices]


def _sparse(dense: np.ndarray, density: float, rng: np.random.Generator) -> sparse.csr_array:
    kept = rng.permutation(dense.size)[: round(density * dense.size)]
    mask = np.zeros(dense.size, dtype=bool)
    mask[kept] = True
    return sparse.csr_array(np.where(mask.reshape(dense.shape), dense, np.float32(0)))


def _least(matrix: np.ndarray | sparse.csr_array, x: np.ndarray) -> float:
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        _ = matrix @ x
        found.append(time.perf_counter() - began)
    return min(found)


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
