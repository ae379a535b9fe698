"""Weights as files: each is read again by the library it is for, and gives the very weights."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load
from scipy import sparse

from sparsecore.engine.deploy import sparse_files

WEIGHTS = {
    "fc1.weight": np.array([[0.0, 1.5], [-2.0, 0.0], [0.0, 0.0]], np.float32),
    "fc1.bias": np.array([0.0, 1.0, 2.0], np.float32),
}
MATRICES = ["fc1.weight"]


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_scipy_reads_the_csr_files_and_numpy_the_rest():
    found = members(sparse_files.csr(WEIGHTS, MATRICES))
    assert set(found) == {"fc1.weight.npz", "dense.npz"}
    matrix = sparse.load_npz(io.BytesIO(found["fc1.weight.npz"]))
    assert (matrix.format, matrix.nnz, matrix.dtype) == ("csr", 2, np.float32)
    assert (matrix.toarray() == WEIGHTS["fc1.weight"]).all()
    rest = np.load(io.BytesIO(found["dense.npz"]), allow_pickle=False)
    assert list(rest) == ["fc1.bias"]
    assert (rest["fc1.bias"] == WEIGHTS["fc1.bias"]).all()


def test_safetensors_hold_weights_and_masks():
    found = load(sparse_files.masked(WEIGHTS, MATRICES))
    assert set(found) == {"fc1.weight", "fc1.bias", "fc1.weight.mask"}
    assert found["fc1.weight.mask"].dtype == bool
    assert (found["fc1.weight.mask"] == (WEIGHTS["fc1.weight"] != 0)).all()
    assert (found["fc1.weight"] == WEIGHTS["fc1.weight"]).all()


def test_a_bitmask_is_one_bit_a_weight_and_the_kept_values():
    found = load(sparse_files.bitmask(WEIGHTS, MATRICES))
    assert found["fc1.weight.bits"].tolist() == [0b0110]
    assert found["fc1.weight.values"].tolist() == [1.5, -2.0]
    assert found["fc1.weight.shape"].tolist() == [3, 2]
    assert (found["fc1.bias"] == WEIGHTS["fc1.bias"]).all()


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 999))
def test_a_bitmask_gives_back_any_matrix(rows: int, columns: int, seed: int):
    chance = np.random.default_rng(seed)
    matrix = (chance.normal(size=(rows, columns)) * (chance.random((rows, columns)) < 0.3)).astype(np.float32)
    found = load(sparse_files.bitmask({"w": matrix}, ["w"]))
    again = sparse_files.from_bitmask(found["w.bits"], found["w.values"], found["w.shape"])
    assert again.dtype == np.float32
    assert (again == matrix).all()


def test_sparse_forms_are_smaller_than_dense_where_few_are_kept():
    chance = np.random.default_rng(1)
    matrix = np.where(chance.random((300, 200)) < 0.05, 1.0, 0.0).astype(np.float32)
    dense = sparse_files.dense_bytes({"w": matrix})
    assert dense == 240_000
    kept = int((matrix != 0).sum())
    bitmask, csr = (len(make({"w": matrix}, ["w"])) for make in (sparse_files.bitmask, sparse_files.csr))
    assert 60_000 // 8 + 4 * kept <= bitmask < 60_000 // 8 + 4 * kept + 400
    assert 8 * kept + 4 * 301 <= csr < 8 * kept + 4 * 301 + 3_000


@pytest.mark.parametrize("make", [sparse_files.csr, sparse_files.bitmask, sparse_files.masked])
def test_the_same_weights_are_the_same_bytes(make):
    assert make(WEIGHTS, MATRICES) == make(WEIGHTS, MATRICES)
