"""The records of a JSON file, one by one: a value, a list, JSON lines, or a list inside an envelope."""

import io
from collections.abc import Iterator
from typing import Any

import ijson

from sparsecore.corpora.corpus import CorpusError, require_no_more
from sparsecore.corpora.source import Source

# Where the lists of records lie in NVD's feeds, OSV's answers and CNNVD's.
ENVELOPES = frozenset(
    (("CVE_Items",), ("vulnerabilities",), ("vulns",), ("data",), ("data", "records"), ("data", "list"))
)

# CVE and NVD records nest up to fifteen deep.
MAX_DEPTH = 100

# NVD lists every affected version of a product in its record: up to some MB of them.
RECORD_BYTES = 4 * 2**20

# NVD's feeds have one key or value every fifteen bytes.
MAX_EVENTS = 50_000_000

READ_BYTES = 2**16
STREAMED: list[Any] = []  # stands for a list whose members are handed on and not held


def json_values(source: Source, stream: io.RawIOBase) -> Iterator[dict[str, Any]]:
    """The objects that are records; anything else in their place is passed over.

    Raises CorpusError `not_json`, `too_deep`, or those of `Source`.
    """
    source.record_bytes = RECORD_BYTES
    builder = _Builder()
    for number, (event, value) in enumerate(_events(stream)):
        require_no_more(number, MAX_EVENTS)
        done = builder.take(event, value)
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
    """The parser's reason without the excerpt of the file that follows it."""
    said = error.args[0] if error.args else ""
    said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return said.partition("\n")[0].strip().rstrip(".")[:80]


class _Builder:
    """Python values from a parser's events, with an eye on where in the file they stand."""

    def __init__(self) -> None:
        self._open: list[Any] = []
        self._keys: list[str | None] = []
        self._enveloped = False

    def take(self, event: str, value: Any) -> dict[str, Any] | None:
        """Take one event; gives a record when it ends one."""
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
                "too_deep", "The file is nested more deeply than any export; send one as published."
            )
        self._open.append(container)
        self._keys.append(None)

    def _list(self) -> list[Any]:
        streamed = not self._open or tuple(self._keys) in ENVELOPES
        self._enveloped |= streamed
        return STREAMED if streamed else []

    def _place(self, value: Any) -> dict[str, Any] | None:
        """Put a finished value where it belongs; gives it if it is a record."""
        if not self._open:
            record = value if isinstance(value, dict) and not self._enveloped else None
            self._enveloped = False
            return record
        parent = self._open[-1]
        if parent is STREAMED:
            return value if isinstance(value, dict) else None
        if isinstance(parent, dict):
            parent[self._keys[-1]] = None if value is STREAMED else value
        else:
            parent.append(value)
        return None
