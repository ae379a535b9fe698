"""Blobs: arrays and their description in and out, and what is none of ours refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from sparsecore.engine.training.blobs import HEADER_BYTES, decode, decode_meta, encode

DTYPES = [np.uint8, np.uint16, np.uint32, np.int32, np.int64, np.float32, np.float64, np.bool_]


def test_arrays_and_description_come_back():
    blob = encode({"x": np.arange(6, dtype=np.uint16).reshape(2, 3)}, {"type": "frame", "名": "层"})
    arrays, meta = decode(blob)
    assert arrays["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert arrays["x"].dtype == np.uint16
    assert meta == {"type": "frame", "名": "层"}


def test_the_layout_is_safetensors_so_that_a_browser_can_read_it():
    blob = encode({"x": np.array([1.5, -2.0], dtype=np.float32)}, {"step": 7})
    length = int.from_bytes(blob[:HEADER_BYTES], "little")
    header = json.loads(blob[HEADER_BYTES : HEADER_BYTES + length])
    begin, end = header["x"]["data_offsets"]
    data = blob[HEADER_BYTES + length :][begin:end]
    assert (header["x"]["dtype"], header["x"]["shape"]) == ("F32", [2])
    assert np.frombuffer(data, "<f4").tolist() == [1.5, -2.0]


def test_a_transposed_array_comes_back_as_it_looked():
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert decode(encode({"x": matrix}, {}))[0]["x"].tolist() == matrix.tolist()


def test_a_number_and_an_empty_array_keep_their_shapes():
    arrays, _ = decode(encode({"step": np.array(3.0), "none": np.empty((0, 4), np.float32)}, {}))
    assert arrays["step"].shape == ()
    assert arrays["step"] == 3.0
    assert arrays["none"].shape == (0, 4)


def test_no_arrays_at_all_is_a_blob():
    assert decode(encode({}, {"a": None})) == ({}, {"a": None})


def test_the_description_can_be_read_alone():
    blob = encode({"x": np.zeros(1_000)}, {"step": 7})
    assert decode_meta(blob[:-4_000]) == {"step": 7}


def test_what_is_no_number_is_refused_in_the_description():
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({}, {"loss": float("nan")})


@pytest.mark.parametrize(
    "blob", [b"", b"\x00", b"not a frame at all", b"\xff" * 64, (9).to_bytes(8, "little") + b"{}"]
)
def test_what_is_no_blob_is_refused(blob: bytes):
    with pytest.raises(ValueError, match="not a frame"):
        decode(blob)
    with pytest.raises(ValueError, match="not a frame"):
        decode_meta(blob)


def test_a_safetensors_file_of_somebody_else_is_refused():
    header = b'{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    blob = len(header).to_bytes(8, "little") + header + b"\x01"
    with pytest.raises(ValueError, match="its header cannot be read"):
        decode(blob)


@given(
    array=st.sampled_from(DTYPES).flatmap(
        lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0))
    ),
    meta=st.dictionaries(st.text(), st.one_of(st.none(), st.integers(), st.text(), st.booleans())),
)
def test_everything_comes_back_bit_for_bit(array: np.ndarray, meta: dict):
    arrays, back = decode(encode({"a": array}, meta))
    assert arrays["a"].tobytes() == array.tobytes()
    assert (arrays["a"].shape, arrays["a"].dtype) == (array.shape, array.dtype)
    assert back == meta
