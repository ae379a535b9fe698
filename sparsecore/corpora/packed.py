"""JSON values in gzipped files that are either whole or absent."""

import gzip
import json
import os
import tempfile
import zlib
from pathlib import Path


class DamagedFile(ValueError):
    """A packed file that is cut short, altered, or holds no JSON."""


def write_packed(path: Path, value: object) -> None:
    """Write `value` as gzipped JSON, so that a reader sees the old file or the new one and never a part.

    Same value, same bytes. The folder is made if need be. Raises OSError when the disk refuses; an old file
    then stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = gzip.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), mtime=0)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
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
