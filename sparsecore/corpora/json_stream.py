"""Stream the records of a JSON file: a single object, a list, JSON lines, or a list inside an envelope."""

import io
from collections.abc import Iterator
from typing import Any

import ijson

from sparsecore.corpora.corpus import CorpusError, check_count
from sparsecore.corpora.source import Source

# Key paths of the record lists in NVD's feeds, OSV's answers and CNNVD's.
ENVELOPES = frozenset(
    (("CVE_Items",), ("vulnerabilities",), ("vulns",), ("data",), ("data", "records"), ("data", "list"))
)

# CVE and NVD records are nested up to fifteen levels deep.
MAX_DEPTH = 100

# NVD lists every affected product version in a record: up to several MB.
RECORD_BYTES = 4 * 2**20

# NVD's feeds have one key or value per fifteen bytes.
MAX_EVENTS = 50_000_000

READ_BYTES = 2**16
STREAMED: list[Any] = []  # placeholder for a list that is streamed and not held in memory


def stream_objects(source: Source, stream: io.RawIOBase) -> Iterator[dict[str, Any]]:
    """Yield the objects that are records; skip any other value in their place."""
    source.record_bytes = RECORD_BYTES
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
            return value if isinstance(value, dict) else None
        if isinstance(parent, dict):
            parent[self._keys[-1]] = None if value is STREAMED else value
        else:
            parent.append(value)
        return None
