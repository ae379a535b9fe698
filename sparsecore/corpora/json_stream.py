"""Stream the records of a JSON file: a single object, a list, JSON lines, or a list inside an envelope."""

import io
import re
from collections.abc import Iterator
from typing import Any

import ijson

from sparsecore.corpora.corpus import CorpusError, check_count
from sparsecore.corpora.encoding import Utf8Stream
from sparsecore.corpora.source import Source

# Key paths of the record lists in feeds of NVD and its mirrors, and in answers of OSV, CNNVD and others.
ENVELOPES = frozenset(
    (
        *(("CVE_Items",), ("cve_items",), ("vulnerabilities",), ("vulns",), ("data",), ("data", "records")),
        *(("data", "list"), ("data", "items"), ("items",), ("results",), ("records",), ("rows",)),
    )
)

# CVE and NVD records are nested up to fifteen levels deep.
MAX_DEPTH = 100

# NVD lists every affected product version in a record: up to several MB.
RECORD_BYTES = 4 * 2**20

# A table by columns, as pandas' `to_json()` writes it, is one object; it begins with the cells of a column.
COLUMNAR = re.compile(rb'\s*\{\s*"[^"]{1,200}"\s*:\s*[{\[]\s*"')
COLUMNAR_BYTES = 16 * 2**20

# NVD's feeds have one key or value per fifteen bytes.
MAX_EVENTS = 50_000_000

READ_BYTES = 2**16

MAX_DIGITS = 15  # of numbers that a float holds exactly
SPECIAL = re.compile(r"NaN|Infinity|[0-9]{16}|[0-9][eE][-+]?[0-9]{3}")
TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"?|-?\b(?:NaN|Infinity)\b|-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?', re.DOTALL
)
UNFINISHED = re.compile(r"[-+.\w\\]*\Z")
HELD_BACK = 2**13  # longer numbers than this are refused by the parser
STREAMED: list[Any] = []  # placeholder for a list that is streamed and not held in memory


class PlainNumbers(Utf8Stream):
    """JSON in which numbers that the parser cannot hold are strings, and NaN and Infinity are null.

    >>> PlainNumbers(io.StringIO('{"NaN": [NaN, 12345678901234567890, 1e400, 1.5]}')).read()
    b'{"NaN": [null, "12345678901234567890", "1e400", 1.5]}'
    """

    _held, _in_string = "", False

    def transform(self, chunk: str, last: bool) -> str:
        text = self._held + chunk
        # A number, a name or an escape may go on in the next chunk.
        cut = len(text) if last else len(text) - len(UNFINISHED.search(text[-HELD_BACK:])[0])
        text, self._held = text[:cut], text[cut:]
        opening = '"' if self._in_string else ""
        # Backslashes occur in strings only.
        self._in_string ^= text.replace("\\\\", "").replace('\\"', "").count('"') % 2 == 1
        if SPECIAL.search(text):
            text = TOKEN.sub(_plain_token, opening + text)[len(opening) :]
        return text


def _plain_token(found: re.Match[str]) -> str:
    token = found[0]
    if token[0] == '"':
        return token
    if token[-1] in "Ny":
        return "null"
    return f'"{token}"' if len(token) > MAX_DIGITS or "e" in token.casefold() else token


def stream_objects(source: Source, stream: io.RawIOBase, head: bytes) -> Iterator[dict[str, Any]]:
    """Yield the objects that are records; skip any other value in their place.

    `head` is the beginning of the JSON.
    """
    source.record_bytes = COLUMNAR_BYTES if COLUMNAR.match(head) else RECORD_BYTES
    builder = _ObjectBuilder()
    for number, (event, value) in enumerate(_events(stream)):
        check_count(number, MAX_EVENTS)
        done = builder.feed(event, value)
        if done is not None:
            yield done
            source.new_record()


def _events(stream: io.RawIOBase) -> Iterator[tuple[str, Any]]:
    try:
        yield from ijson.basic_parse(stream, multiple_values=True, use_float=True, buf_size=READ_BYTES)
    except (ijson.JSONError, OverflowError) as error:
        raise CorpusError(
            "not_json",
            f"The JSON cannot be read ({_reason(error)}); download it again.",
            reason=_reason(error),
        ) from error


def _reason(error: Exception) -> str:
    """Return the parser's message without the excerpt of the file."""
    message = error.args[0] if error.args else ""
    message = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    return message.partition("\n")[0].strip().rstrip(".")[:80]


class _ObjectBuilder:
    """Build Python values from parser events and track their position in the file."""

    def __init__(self) -> None:
        self._open: list[Any] = []
        self._keys: list[str | None] = []
        self._enveloped = False

    def feed(self, event: str, value: Any) -> dict[str, Any] | None:
        """Process one event; return a record if the event completes one."""
        if event == "map_key":
            self._keys[-1] = value
            return None
        if event in ("start_map", "start_array"):
            self._begin({} if event == "start_map" else self._list())
            return None
        if event in ("end_map", "end_array"):
            self._keys.pop()
            value = self._open.pop()
        return self._place(value)

    def _begin(self, container: Any) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise CorpusError(
                "too_deep", "The file is nested more deeply than any export; use the original export."
            )
        self._open.append(container)
        self._keys.append(None)

    def _list(self) -> list[Any]:
        streamed = not self._open or tuple(self._keys) in ENVELOPES
        self._enveloped |= streamed
        return STREAMED if streamed else []

    def _place(self, value: Any) -> dict[str, Any] | None:
        """Attach a finished value to its parent; return it if it is a record."""
        if not self._open:
            record = value if isinstance(value, dict) and not self._enveloped else None
            self._enveloped = False
            return record
        parent = self._open[-1]
        if parent is STREAMED:
            names = self._open[0].get("columns") if isinstance(self._open[0], dict) else None
            if isinstance(value, list) and isinstance(names, list):  # pandas' orient="split"
                return {str(name): cell for name, cell in zip(names, value, strict=False)}
            return value if isinstance(value, dict) else None
        if isinstance(parent, dict):
            parent[self._keys[-1]] = None if value is STREAMED else value
        else:
            parent.append(value)
        return None
