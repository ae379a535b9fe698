"""Frames, configs and links of anything: refused in a sentence or taken, never a traceback, a hang or a leak.

Mutated imports are in tests/runs/test_run_archive.py. The quick form takes some hundreds, the long one
(`-m slow`) ten thousand. What once failed is kept as an example.
"""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from sparsecore.dashboard import session
from sparsecore.engine.config import PARAMETERS, ConfigError, RunConfig
from sparsecore.engine.parameters import densities_of_layers
from sparsecore.engine.training.blobs import HEADER_BYTES, decode, decode_meta, encode
from sparsecore.runs.store.store import Store

ROOT = Path(__file__).parents[2]
QUICK, LONG = 300, 10_000
FEW = settings(max_examples=QUICK, deadline=20_000)  # ms: an input that takes longer hangs
MANY = settings(FEW, max_examples=LONG)
LEAK = 100_000  # bytes of Python objects that a thousand inputs may leave


def refusal(error: type[Exception], read: Callable[..., Any], *given_: Any) -> tuple[Any, Any]:
    """What is read, or the error of this kind that refuses it; any other error fails the test."""
    try:
        return read(*given_), None
    except error as refused:
        return None, refused


# -- frames -----------------------------------------------------------------------------------------------

ARRAYS = {
    "count.0": np.arange(60, dtype=np.uint16).reshape(6, 10),
    "mask.0": np.packbits(np.arange(60) % 3 == 0, bitorder="little"),
    "fit.y": np.linspace(-1, 1, 40),
}
META = {"type": "frame", "step": 7, "matrices": [{"layer": 0, "rows": 6, "cols": 10}], "names": ["W1", "层"]}
BLOB = encode(ARRAYS, META)
HEADER = json.loads(BLOB[HEADER_BYTES : HEADER_BYTES + int.from_bytes(BLOB[:HEADER_BYTES], "little")])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
DTYPES = st.sampled_from(["F64", "F32", "U8", "BOOL", "I64", "F8_E4M3", "C64", "OBJ", "", "F32\x00"])
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": DTYPES | JSON,
        "shape": st.lists(st.integers(-2, 2**65), max_size=4) | JSON,
        "data_offsets": st.lists(st.integers(-1, 2**65), max_size=3) | JSON,
    },
)


def with_header(header: Any, rest: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(HEADER_BYTES, "little") + text + rest


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame with bytes changed, cut out or put in; or with another header; or no frame at all."""
    match draw(st.integers(0, 4)):
        case 0:
            return draw(st.binary(max_size=200))
        case 1:
            blob = bytearray(BLOB)
            for _ in range(draw(st.integers(1, 8))):
                blob[draw(st.integers(0, len(blob) - 1))] = draw(st.integers(0, 255))
            return bytes(blob)
        case 2:
            start, length = draw(st.integers(0, len(BLOB))), draw(st.integers(0, 64))
            return BLOB[:start] + draw(st.binary(max_size=64)) + BLOB[start + length :]
        case 3:
            meta = {"meta": draw(st.text(max_size=20) | JSON.map(json.dumps) | JSON)}
            changed = HEADER | {"__metadata__": draw(st.just(meta) | JSON)}
            return with_header(changed, BLOB[-draw(st.integers(0, 600)) :])
        case _:
            name = draw(st.sampled_from([*ARRAYS, "more", "", "__metadata__"]))
            return with_header(HEADER | {name: draw(ENTRY | JSON)}, BLOB[-draw(st.integers(0, 600)) :])


def read_frame(blob: bytes) -> None:
    """A frame is read or refused with a `ValueError`, and by both readers alike."""
    for read in (decode, decode_meta):
        found, refused = refusal(ValueError, read, blob)
        assert refused is None or str(refused).startswith("not a frame")
        assert refused is not None or isinstance(found, tuple if read is decode else dict)
    arrays = refusal(ValueError, decode, blob)[0] or ({}, {})
    assert sum(array.nbytes for array in arrays[0].values()) <= len(blob)


KEPT_FRAMES = [
    b"",
    bytes(8),
    b"\xff" * 8,
    with_header([], b""),
    with_header({"__metadata__": {"meta": "[" * 100_000}}, b""),
    with_header({"__metadata__": {"meta": "9" * 5_000}}, b""),
    (200_000).to_bytes(8, "little") + b"[" * 200_000,
    with_header({"__metadata__": {"meta": 7}}, b""),
    with_header(
        HEADER | {"count.0": {"dtype": "U16", "shape": [2**63, 4], "data_offsets": [0, 8]}}, bytes(900)
    ),
]


@pytest.mark.parametrize("blob", KEPT_FRAMES, ids=range(len(KEPT_FRAMES)))
def test_a_kept_frame_is_read_or_refused(blob: bytes):
    read_frame(blob)


@FEW
@given(frames())
def test_a_mutated_frame_is_read_or_refused(blob: bytes):
    read_frame(blob)


@pytest.mark.slow
@MANY
@given(frames())
def test_ten_thousand_mutated_frames_are_read_or_refused(blob: bytes):
    read_frame(blob)


# -- configs ----------------------------------------------------------------------------------------------

WORDS = sorted({choice for parameter in PARAMETERS.values() for choice in parameter.choices})
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, 1, -1, 2**31, 2**63, 10**400, 1e308, 5e-324])
TEXTS = st.text(max_size=20) | st.sampled_from(
    [
        *WORDS,
        "nan",
        "inf",
        "-0",
        "1e999",
        "９",
        "٣",
        "1_000",
        "0x10",
        "9" * 5_000,
        "\x00",
        "\ud800",
        "cuda:0",
        "fc1=0.5",
    ]
)
VALUES = JSON | NUMBERS | TEXTS
NAMES = st.sampled_from([*PARAMETERS, "nothere", "", "__class__", "model_config"]) | st.text(max_size=6)
CONFIGS = st.dictionaries(NAMES, VALUES, max_size=8)


def read_config(given_: dict[str, Any]) -> None:
    """A config is one that can be written down and read again, or a `ConfigError` that says what fits."""
    config, refused = refusal(ConfigError, RunConfig.parse, given_)
    if refused is not None:
        assert refused.allowed
        assert str(refused).startswith(f"{refused.field} must be ")
        return
    assert RunConfig.parse(json.loads(json.dumps(config.model_dump(), allow_nan=False))) == config
    assert len(config.digest()) == 16


def read_text(name: str, text: str) -> None:
    """What a link says of a parameter is a value or a `ConfigError`."""
    value, refused = refusal(ConfigError, PARAMETERS[name].read, text)
    assert refused is None or refused.field == name
    if refused is None:
        read_config({name: value})


KEPT_CONFIGS = [
    {"density": "NaN"},
    {"max_steps": "9" * 5_000},
    {"max_steps": 10**400},
    {"max_steps": "²"},
    {"max_steps": "0_1"},
    {"max_steps": "1000.0"},
    {"max_steps": 1000.0},
    {"max_steps": True},
    {"noise": float("nan")},
    {"layer_densities": "fc1=nan"},
    {"layer_densities": "=" * 10_000},
    {"task": ["sinc"]},
    {"task": {"a": 1}, "size": "demo"},
    {"seed": True},
    {"data": "0" * 16, "task": "vulnerabilities"},
    {"device": "cuda:99\n"},
]


@pytest.mark.parametrize("given_", KEPT_CONFIGS, ids=range(len(KEPT_CONFIGS)))
def test_a_kept_config_is_read_or_refused(given_: dict[str, Any]):
    read_config(given_)


@FEW
@given(CONFIGS)
def test_a_mutated_config_is_read_or_refused(given_: dict[str, Any]):
    read_config(given_)


@pytest.mark.slow
@MANY
@given(CONFIGS)
def test_ten_thousand_mutated_configs_are_read_or_refused(given_: dict[str, Any]):
    read_config(given_)


@FEW
@given(st.sampled_from([*PARAMETERS]), TEXTS)
@example("max_steps", "9" * 5_000)
@example("max_steps", "²")
@example("density", "\ud800")
def test_any_text_of_a_link_is_a_value_or_refused(name: str, text: str):
    read_text(name, text)


@pytest.mark.slow
@MANY
@given(st.sampled_from([*PARAMETERS]), TEXTS)
def test_ten_thousand_texts_of_links_are_values_or_refused(name: str, text: str):
    read_text(name, text)


@FEW
@given(st.text(alphabet="fc1=0.5,* .enai[]?!\x00", max_size=40))
def test_any_text_of_layer_densities_is_read_or_refused(text: str):
    found, refused = refusal(ConfigError, densities_of_layers, text)
    assert refused is None or refused.field == "layer_densities"
    assert all(0 < density <= 1 for density in (found or {}).values())


# -- links into the Lab -----------------------------------------------------------------------------------

QUERY = st.dictionaries(
    st.sampled_from([*PARAMETERS, "run", "lang", "sweep", "nothere"]),
    TEXTS.filter(
        lambda text: not any("\ud800" <= sign <= "\udfff" for sign in text)
    ),  # no URL holds half a pair
    min_size=1,
    max_size=5,
)
KEPT_LINKS = [
    {"max_steps": "9" * 5_000},
    {"seed": "1e5", "density": "nan"},
    {"density": "inf"},
    {"noise": "nan"},
    {"theta": "-inf"},
    {"learning_rate": "5e-324"},
    {"max_steps": "９"},
    {"seed": "-1", "run": "../../x"},
    {"run": "\x00", "lang": "<script>"},
    {"layer_densities": "<b>=0.5"},
    {"data": "0123456789abcdef", "task": "vulnerabilities"},
    {"size": "laptop"},
    {"task": "vulnerabilities", "split": "time"},
    {"method": "global", "layer_densities": "fc1=0.5"},
]


@pytest.fixture
def the_store(store: Store) -> Iterator[Store]:
    """The pages' store is this test's."""
    session.the_store.cache_clear()
    yield store
    session.the_store.cache_clear()


def open_link(query: dict[str, str]) -> None:
    """The Lab opens with what fits of a link; what does not is told in a sentence."""
    app = AppTest.from_file(str(ROOT / "pages" / "_navigation.py"), default_timeout=60)
    app.query_params.update(query)
    app.run()
    assert not app.exception, (query, app.exception)
    assert app.get("popover")  # the page came to its end


@pytest.mark.usefixtures("the_store")
@pytest.mark.parametrize("query", KEPT_LINKS, ids=range(len(KEPT_LINKS)))
def test_a_kept_link_opens_the_lab(query: dict[str, str]):
    open_link(query)


@pytest.mark.usefixtures("the_store")
@settings(FEW, max_examples=25)
@given(QUERY)
def test_any_link_opens_the_lab(query: dict[str, str]):
    open_link(query)


@pytest.mark.slow
@pytest.mark.usefixtures("the_store")
@settings(FEW, max_examples=1_000)
@given(QUERY)
def test_a_thousand_links_open_the_lab(query: dict[str, str]):
    open_link(query)


# -- nothing is left behind -------------------------------------------------------------------------------


def test_what_is_refused_leaves_nothing_behind(store: Store):
    def all_of_them() -> None:
        for blob in KEPT_FRAMES:
            read_frame(blob)
        for given_ in KEPT_CONFIGS:
            read_config(given_)

    tracemalloc.start()
    kept = []
    for _ in range(2):
        for _ in range(50):
            all_of_them()
        gc.collect()
        kept.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert kept[1] - kept[0] < LEAK
    assert store.list() == []
