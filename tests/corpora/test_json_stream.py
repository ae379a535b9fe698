"""JSON of any layout and with any number becomes records."""

import io
import json

import pytest

from sparsecore.corpora import encoding
from sparsecore.corpora.json_stream import PlainNumbers
from sparsecore.corpora.reading import read_corpus

ROWS = [{"text": f"text number {i}, which is long", "label": "high" if i % 2 else "low"} for i in range(20)]
COLUMNS = {name: {str(i): row[name] for i, row in enumerate(ROWS)} for name in ("text", "label")}


@pytest.mark.parametrize("number", ["12345678901234567890", "-" + "9" * 30, "1e400", "NaN", "-Infinity"])
@pytest.mark.parametrize("layout", ["list", "lines"])
def test_numbers_of_any_size_and_nan_are_read(file_with, number, layout):
    rows = [row | {"size": 0, "note": 'a "NaN" \\ 12345678901234567890'} for row in ROWS]
    written = [json.dumps(row).replace('"size": 0', f'"size": {number}') for row in rows]
    content = "[" + ",".join(written) + "]" if layout == "list" else "\n".join(written)
    assert read_corpus(file_with(content)).labels == (0, 2) * 10


@pytest.mark.parametrize("size", range(1, 40))
def test_plain_numbers_do_not_depend_on_where_a_chunk_ends(monkeypatch, size):
    content = r'{"a\\": [NaN, "NaN \" 1234567890123456789", 1234567890123456789, -1.5e-400], "b": -Infinity}'
    monkeypatch.setattr(encoding, "CHUNK_BYTES", size)
    found = json.loads(PlainNumbers(io.StringIO(content)).read())
    wanted = [None, 'NaN " 1234567890123456789', "1234567890123456789", "-1.5e-400"]
    assert found == {"a\\": wanted, "b": None}


@pytest.mark.parametrize(
    "value",
    [
        COLUMNS,
        {str(i): row for i, row in enumerate(ROWS)},
        {
            "columns": ["text", "label"],
            "index": list(range(20)),
            "data": [list(row.values()) for row in ROWS],
        },
        {"schema": {"fields": []}, "data": ROWS},
        {"text": [row["text"] for row in ROWS], "label": [row["label"] for row in ROWS]},
        {"items": ROWS},
        {"total": 20, "anything": ROWS},
        {"count": 20, "results": ROWS, "next": None},
    ],
    ids=["columns", "index", "split", "table", "list", "items", "unknown key", "results"],
)
def test_tables_in_every_form_of_pandas_and_in_envelopes_are_read(file_with, value):
    corpus = read_corpus(file_with(json.dumps(value)))
    assert corpus.texts == tuple(row["text"] for row in ROWS)
    assert corpus.labels == (0, 2) * 10


def test_a_table_by_columns_may_be_larger_than_a_record(file_with):
    long = {place: text + "x" * 300_000 for place, text in COLUMNS["text"].items()}
    assert read_corpus(file_with(json.dumps(COLUMNS | {"text": long}))).labels == (0, 2) * 10
