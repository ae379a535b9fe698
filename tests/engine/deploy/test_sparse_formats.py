"""Formats of sparse matrices: bytes as SciPy stores them, files as the library they are for reads them."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load
from scipy import sparse

from sparsecore.engine.deploy import sparse_formats
from sparsecore.engine.deploy.sparse_formats import break_even, product_seconds, stored_bytes

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
    found = members(sparse_formats.csr(WEIGHTS, MATRICES))
    assert set(found) == {"fc1.weight.npz", "dense.npz"}
    matrix = sparse.load_npz(io.BytesIO(found["fc1.weight.npz"]))
    assert (matrix.format, matrix.nnz, matrix.dtype) == ("csr", 2, np.float32)
    assert (matrix.toarray() == WEIGHTS["fc1.weight"]).all()
    rest = np.load(io.BytesIO(found["dense.npz"]), allow_pickle=False)
    assert list(rest) == ["fc1.bias"]
    assert (rest["fc1.bias"] == WEIGHTS["fc1.bias"]).all()


def test_safetensors_hold_weights_and_masks():
    found = load(sparse_formats.masked(WEIGHTS, MATRICES))
    assert set(found) == {"fc1.weight", "fc1.bias", "fc1.weight.mask"}
    assert found["fc1.weight.mask"].dtype == bool
    assert (found["fc1.weight.mask"] == (WEIGHTS["fc1.weight"] != 0)).all()
    assert (found["fc1.weight"] == WEIGHTS["fc1.weight"]).all()


def test_a_bitmask_is_one_bit_a_weight_and_the_kept_values():
    found = load(sparse_formats.bitmask(WEIGHTS, MATRICES))
    assert found["fc1.weight.bits"].tolist() == [0b0110]
    assert found["fc1.weight.values"].tolist() == [1.5, -2.0]
    assert found["fc1.weight.shape"].tolist() == [3, 2]
    assert (found["fc1.bias"] == WEIGHTS["fc1.bias"]).all()


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 999))
def test_a_bitmask_gives_back_any_matrix(rows: int, columns: int, seed: int):
    chance = np.random.default_rng(seed)
    matrix = (chance.normal(size=(rows, columns)) * (chance.random((rows, columns)) < 0.3)).astype(np.float32)
    found = load(sparse_formats.bitmask({"w": matrix}, ["w"]))
    shape = found["w.shape"].tolist()
    kept = np.unpackbits(found["w.bits"], count=rows * columns, bitorder="little").astype(bool)
    again = np.zeros(rows * columns, found["w.values"].dtype)
    again[kept] = found["w.values"]
    assert again.dtype == np.float32
    assert (again.reshape(shape) == matrix).all()


def test_the_numbers_of_a_file_are_counted_without_its_headers():
    sizes = {
        form: sparse_formats.number_bytes(form, WEIGHTS, MATRICES)
        for form in ("csr", "bitmask", "safetensors")
    }
    found = {
        name: np.load(io.BytesIO(data))
        for name, data in members(sparse_formats.csr(WEIGHTS, MATRICES)).items()
    }
    matrix = [found["fc1.weight.npz"][name] for name in ("data", "indices", "indptr")]
    assert sizes["csr"] == sum(array.nbytes for array in (*matrix, found["dense.npz"]["fc1.bias"]))
    bits = load(sparse_formats.bitmask(WEIGHTS, MATRICES))
    assert sizes["bitmask"] == sum(
        array.nbytes for name, array in bits.items() if not name.endswith(".shape")
    )
    masked = load(sparse_formats.masked(WEIGHTS, MATRICES))
    assert sizes["safetensors"] == sum(array.nbytes for array in masked.values())


def test_sparse_forms_are_smaller_than_dense_where_few_are_kept():
    chance = np.random.default_rng(1)
    matrix = np.where(chance.random((300, 200)) < 0.05, 1.0, 0.0).astype(np.float32)
    dense = sparse_formats.dense_bytes({"w": matrix})
    assert dense == 240_000
    kept = int((matrix != 0).sum())
    bitmask, csr = (len(make({"w": matrix}, ["w"])) for make in (sparse_formats.bitmask, sparse_formats.csr))
    assert 60_000 // 8 + 4 * kept <= bitmask < 60_000 // 8 + 4 * kept + 400
    assert 8 * kept + 4 * 301 <= csr < 8 * kept + 4 * 301 + 3_000


@pytest.mark.parametrize("make", [sparse_formats.csr, sparse_formats.bitmask, sparse_formats.masked])
def test_the_same_weights_are_the_same_bytes(make):
    assert make(WEIGHTS, MATRICES) == make(WEIGHTS, MATRICES)


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
    sizes = [stored_bytes(300, 200, round(share * 300 * 200)) for share in (0.02, 0.04, 0.9, 0.98)]
    assert [min(each, key=each.get) for each in sizes] == ["csr", "bitmask", "bitmask", "dense"]


def test_the_break_even_lies_between_the_densities_that_straddle_it():
    assert break_even([0.1, 0.2, 0.4], 3.0, [1.0, 2.0, 4.0]) == pytest.approx(0.3)
    assert break_even([0.1, 0.2], 3.0, [4.0, 5.0]) is None
    assert break_even([0.1, 0.2], 9.0, [4.0, 5.0]) is None


def test_a_product_takes_time_and_a_time_is_given_for_each_density():
    dense, csr = product_seconds([0.01, 0.5], batch=2, side=64)
    assert dense > 0
    assert len(csr) == 2
    assert min(csr) > 0
