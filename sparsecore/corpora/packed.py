"""JSON values in gzipped files that are either whole or absent."""

import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LEVEL = 6  # 9 takes three times as long for two percent less
MEMBERS_AT_ONCE = 1_000  # of a long list: in one piece, a large corpus would be in memory three times


class DamagedFile(ValueError):
    """A packed file that is cut short, altered, or holds no JSON."""


def write_packed(path: Path, value: object) -> None:
    """Write `value` as gzipped JSON, so that a reader sees the old file or the new one and never a part.

    Same value, same bytes. The folder is made if need be. Raises OSError when the disk refuses; an old file
    then stays.
    """
    with whole_file(path) as file, gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed:
        for piece in _pieces(value):
            packed.write(piece.encode())


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes its place at the end: a reader sees the old one or the new one whole.

    The folder is made if need be. After an error the old file stays.
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


def read_packed(path: Path) -> object:
    """The value that `write_packed` wrote; raises FileNotFoundError, or DamagedFile for anything else."""
    try:
        return json.loads(gzip.decompress(path.read_bytes()))
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise DamagedFile(f"{path.name} is no whole gzipped JSON file: {error}") from error


def _pieces(value: object) -> Iterator[str]:
    """The JSON of a value, the long lists in it cut into pieces."""
    if isinstance(value, dict):
        for number, (key, member) in enumerate(value.items()):
            yield f"{',' if number else '{'}{_json(key)}:"
            yield from _pieces(member)
        yield "}" if value else "{}"
    elif isinstance(value, list | tuple):
        yield "["
        for start in range(0, len(value), MEMBERS_AT_ONCE):
            yield ("," if start else "") + _json(value[start : start + MEMBERS_AT_ONCE])[1:-1]
        yield "]"
    else:
        yield _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
