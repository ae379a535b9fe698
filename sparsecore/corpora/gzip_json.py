"""JSON values in gzipped files, written atomically."""

import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LEVEL = 6  # 9 takes three times as long and saves two percent
BATCH = 1_000  # list items; encoding a large corpus at once would hold it in memory three times


class DamagedFile(ValueError):
    """A gzipped JSON file is truncated, altered, or holds no JSON."""


def write_gzip_json(path: Path, value: object) -> None:
    """Write `value` as gzipped JSON atomically: a reader sees either the old file or the new one.

    The same value gives the same bytes. The folder is created if needed. Raises OSError if the file cannot be
    written; the old file then stays.
    """
    with atomic_file(path) as file, gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed:
        for piece in json_pieces(value):
            packed.write(piece.encode())


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file for writing that replaces `path` on exit; a reader never sees a partial file.

    The folder is created if needed. After an error the old file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_gzip_json(path: Path) -> object:
    """Read a value written by `write_gzip_json`; raise FileNotFoundError or DamagedFile."""
    try:
        return json.loads(gzip.decompress(path.read_bytes()))
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise DamagedFile(f"{path.name} is not a complete gzipped JSON file: {error}") from error


def json_pieces(value: object) -> Iterator[str]:
    """Yield the JSON of a value; long lists are encoded in batches."""
    if isinstance(value, dict):
        for number, (key, member) in enumerate(value.items()):
            yield f"{',' if number else '{'}{_json(key)}:"
            yield from json_pieces(member)
        yield "}" if value else "{}"
    elif isinstance(value, list | tuple):
        yield "["
        for start in range(0, len(value), BATCH):
            yield ("," if start else "") + _json(value[start : start + BATCH])[1:-1]
        yield "]"
    else:
        yield _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
