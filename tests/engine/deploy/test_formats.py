"""Bytes of the formats against what SciPy really holds; the product's break-even."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sparsecore.engine.analysis.subset_regression import N_TRUE, errors
from sparsecore.engine.deploy.formats import break_even, product_seconds, smallest, stored_bytes


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_dense_and_csr_are_counted_as_scipy_stores_them(rows: int, cols: int, seed: int):
    rng = np.random.default_rng(seed)
    matrix = np.where(rng.random((rows, cols)) < 0.3, np.float32(1.5), np.float32(0))
    kept = sparse.csr_array(matrix)
    counted = stored_bytes(rows, cols, kept.nnz)
    assert counted["dense"] == matrix.nbytes
    assert counted["csr"] == kept.data.nbytes + kept.indices.nbytes + kept.indptr.nbytes
    assert counted["bitmask"] == kept.data.nbytes + np.packbits(matrix != 0).nbytes


def test_csr_wins_below_one_in_32_bitmask_between_dense_above_31_in_32():
    places = 300 * 200
    assert [smallest(300, 200, round(share * places)) for share in (0.02, 0.04, 0.9, 0.98)] == [
        "csr",
        "bitmask",
        "bitmask",
        "dense",
    ]


def test_the_break_even_lies_between_the_densities_that_straddle_it():
    assert break_even([0.1, 0.2, 0.4], 3.0, [1.0, 2.0, 4.0]) == pytest.approx(0.3)
    assert break_even([0.1, 0.2], 3.0, [4.0, 5.0]) is None
    assert break_even([0.1, 0.2], 9.0, [4.0, 5.0]) is None


def test_a_product_takes_time_and_a_time_is_given_for_each_density():
    dense, csr = product_seconds([0.01, 0.5], batch=2, side=64)
    assert dense > 0
    assert len(csr) == 2
    assert min(csr) > 0


def test_the_training_error_only_falls_and_the_test_error_is_least_at_the_true_number():
    found = errors(rows=40, noise=0.5, draws=6)
    assert (np.diff(found.train) <= 1e-12).all()
    assert found.sizes[found.test.argmin()] == N_TRUE
    assert found.test.min() >= found.noise  # nothing is better than the noise on new data
