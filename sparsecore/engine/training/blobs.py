"""Arrays and their description as one safetensors blob, and back. No pickle, no torch."""

import json
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "I16": "<i2", "U8": "u1", "BOOL": "?"}
DTYPES |= {"U32": "<u4", "U16": "<u2"}
CODES = {np.dtype(name).str: code for code, name in DTYPES.items()}
PAD_BYTES = 4096  # a header is filled up to it: blobs of the same arrays are mostly of the same size
HEADER_BYTES = 8  # safetensors: little-endian length of the JSON header that follows


def encode(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> bytes:
    """One blob of arrays (any shape and numeric dtype) and of JSON-serialisable `meta`.

    >>> decode(encode({"x": np.arange(3, dtype=np.uint16)}, {"step": 7}))
    ({'x': array([0, 1, 2], dtype=uint16)}, {'step': 7})
    """
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return save(contiguous, metadata={"meta": json.dumps(meta, ensure_ascii=False, allow_nan=False)})


def pieces(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> list[bytes | memoryview]:
    """What `encode` gives, in pieces that follow each other and copy no array.

    >>> decode(b"".join(pieces({"x": np.arange(3, dtype=np.uint16)}, {"step": 7})))
    ({'x': array([0, 1, 2], dtype=uint16)}, {'step': 7})
    """
    text = json.dumps(meta, ensure_ascii=False, allow_nan=False)
    header: dict[str, Any] = {"__metadata__": {"meta": text}}
    end, buffers = 0, []
    for name in sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)):
        array = np.asarray(arrays[name], order="C")
        start, end = end, end + array.nbytes
        header[name] = {"dtype": CODES[array.dtype.str], "shape": array.shape, "data_offsets": [start, end]}
        buffers.append(array.reshape(-1).view(np.uint8).data)
    head = json.dumps(header, ensure_ascii=False).encode()
    head += b" " * (-(HEADER_BYTES + len(head)) % PAD_BYTES)
    return [len(head).to_bytes(HEADER_BYTES, "little"), head, *buffers]


def decode(blob: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and `meta` of a blob; a `ValueError` when it is not one of ours."""
    try:
        return load(blob), decode_meta(blob)
    except SafetensorError as error:
        raise ValueError(f"not a frame: {error}.") from error


def decode_meta(blob: bytes) -> dict[str, Any]:
    """Only the description, without touching the arrays."""
    length = int.from_bytes(blob[:HEADER_BYTES], "little")
    try:
        header = json.loads(blob[HEADER_BYTES : HEADER_BYTES + length])
        meta = json.loads(header["__metadata__"]["meta"])
    # Broken UTF-8 or JSON, or a number of thousands of digits; brackets in brackets without end.
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError("not a frame: its header cannot be read.") from error
    if not isinstance(meta, dict):
        raise ValueError("not a frame: its header describes no array.")
    return meta


def array_places(header: bytes) -> dict[str, tuple[str, int, int]]:
    """Of a blob's JSON header: the dtype, the first byte past the header, and the size of each array.

    >>> blob = encode({"x": np.arange(3, dtype=np.float32)}, {})
    >>> array_places(blob[HEADER_BYTES : HEADER_BYTES + int.from_bytes(blob[:HEADER_BYTES], "little")])
    {'x': ('<f4', 0, 12)}
    """
    found = {}
    for name, entry in json.loads(header).items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            found[name] = DTYPES[entry["dtype"]], start, end - start
    return found
