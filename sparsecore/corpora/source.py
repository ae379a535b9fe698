"""Read a user's file: options, progress, and its unpacked bytes within limits.

A hostile file cannot exceed the limits on size, expansion and record length.
"""

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypedDict

from sparsecore.corpora.corpus import CorpusError

# CNVD's complete archive since 2015 is about 300 MB of XML. A gzip bomb expands a thousandfold: 1 MB to 1 GB.
MAX_BYTES = 512 * 2**20

# Compression shrinks exports ten- to thirtyfold and a bomb a thousandfold. Small files may be repetitive.
MAX_RATIO = 200
RATIO_FROM = 16 * 2**20

# A record is held in memory whole, as many small objects. The longest real record is a few dozen kB; 1 MiB of
# `<a/>` or of commas still takes only a few dozen MB.
MAX_RECORD_BYTES = 2**20

# A zip's table of contents is read at once: 40,000 files, or a few dozen MB of Python objects.
MAX_READ = 4 * 2**20

PACKED_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)


Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]


class Meter:
    """Count the bytes read from disk, report progress, and stop if cancelled.

    `total` is the number of bytes of all passes over the file. `progress` is called with the bytes read and
    the total; once `cancelled()` is true, CorpusError `cancelled` is raised.
    """

    def __init__(
        self,
        total: int,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> None:
        self.total = total
        self._read = 0
        self._progress = progress
        self._cancelled = cancelled

    def add(self, count: int) -> None:
        """Count newly read bytes; raise CorpusError `cancelled`."""
        self._read = min(self._read + count, self.total)
        if self._progress:
            self._progress(self._read, self.total)
        if self._cancelled and self._cancelled():
            raise CorpusError("cancelled", "Reading was cancelled; nothing was saved.")

    def finish(self) -> None:
        """Report the total as read, even if parts of the file were skipped."""
        self.add(self.total - self._read)


class ReadOptions(TypedDict, total=False):
    """Optional arguments of every function that reads a file.

    The columns of a table are found by name or content unless given; so are the sheet of a workbook and its
    header row (counted from 1). `grades` is the mapping of `Vocabulary`. `progress` and `cancelled` are those
    of `Meter`.
    """

    text_column: str | None
    label_column: str | None
    sheet: str | None
    header_row: int | None
    grades: Mapping[str, str] | None
    progress: Progress | None
    cancelled: Cancelled | None


@dataclass
class ReadContext:
    """The state of reading one file: what the user named, the formats found so far, and what can be chosen.

    columns: the first ones of a table; sheets: of a workbook, the visible ones.
    """

    meter: Meter
    text_column: str | None = None
    label_column: str | None = None
    sheet: str | None = None
    header_row: int | None = None
    grades: Mapping[str, str] | None = None
    formats: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    sheets: list[str] = field(default_factory=list)

    def add_format(self, name: str) -> None:
        """Record that the file contains this format."""
        if name not in self.formats:
            self.formats.append(name)

    @property
    def format(self) -> str:
        """All formats found, as one name."""
        return " + ".join(self.formats)


class _Metered(io.FileIO):
    def __init__(self, path: Path, meter: Meter) -> None:
        super().__init__(path)
        self._meter = meter

    def readinto(self, buffer: memoryview) -> int:
        count = super().readinto(buffer)
        self._meter.add(count)
        return count


class _Bounded(io.BufferedReader):
    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MAX_READ:
            raise CorpusError(
                "too_many_files", "The archive contains too many files; include only those with texts."
            )
        return super().read(size)


def open_metered(path: Path, meter: Meter) -> BinaryIO:
    """Open a file and count its bytes as they are read; a single read is limited to `MAX_READ` bytes."""
    return _Bounded(_Metered(path, meter), 2**16)


class Source(io.RawIOBase):
    """The unpacked bytes of one member of a file, as a raw stream to read once.

    `packed` is the compressed size on disk, 0 if not compressed. Reading raises CorpusError `too_large` past
    `MAX_BYTES` in all or `MAX_RATIO` times the compressed size, `record_too_large` after `record_bytes` bytes
    without a call of `new_record`, and `bad_archive` if the compressed data are damaged.
    """

    def __init__(self, stream: BinaryIO, packed: int = 0) -> None:
        self._stream = stream
        self._packed = packed
        self._total = 0
        self._in_record = 0
        self.record_bytes = MAX_RECORD_BYTES

    def readable(self) -> bool:
        return True

    def new_record(self) -> None:
        """Reset the record size after a complete record."""
        self._in_record = 0

    def readinto(self, buffer: memoryview) -> int:
        try:
            chunk = self._stream.read(min(len(buffer), MAX_READ))
        except PACKED_ERRORS as error:
            raise bad_archive_error(error) from error
        self._total += len(chunk)
        self._in_record += len(chunk)
        self._check_limits()
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _check_limits(self) -> None:
        check_size(self._total, self._packed)
        if self._in_record > self.record_bytes:
            limit = self.record_bytes // 2**10
            raise CorpusError(
                "record_too_large",
                f"A record in the file is larger than {limit} KiB; a description should be a few sentences.",
                limit_kib=limit,
            )

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def check_size(unpacked: int, packed: int) -> None:
    """Raise CorpusError `too_large` or `too_dense` for a size or an expansion that no export has."""
    if unpacked > MAX_BYTES:
        limit = MAX_BYTES // 2**20
        raise CorpusError(
            "too_large",
            f"The unpacked file is larger than {limit} MiB; use only a part of it.",
            limit_mib=limit,
        )
    if packed and unpacked > max(RATIO_FROM, MAX_RATIO * packed):
        raise CorpusError(
            "too_dense",
            f"The file expands more than {MAX_RATIO}-fold, which no export does; use the unpacked file.",
            ratio=MAX_RATIO,
        )


def bad_archive_error(error: Exception) -> CorpusError:
    """Return the error for compressed data that cannot be unpacked."""
    return CorpusError(
        "bad_archive",
        f"The file looks like gzip or zip but cannot be unpacked ({error}); "
        "use the complete file, or unpack it first.",
        reason=str(error),
    )
