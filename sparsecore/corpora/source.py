"""The bytes of a file that somebody brings, unpacked, under limits that a hostile file cannot pass."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from sparsecore.corpora.corpus import CorpusError

# CNVD's whole archive since 2015 is about 300 MB of XML. A gzip bomb grows a thousandfold: 1 MB becomes 1 GB.
MAX_BYTES = 512 * 2**20

# Exports shrink ten- to thirtyfold when packed, a bomb a thousandfold. Small files may repeat themselves.
MAX_RATIO = 200
RATIO_FROM = 16 * 2**20

# A record is held in memory whole, as many small objects: the longest real one is some tens of kB,
# while 1 MiB of `<a/>` or of commas still costs only some tens of MB.
MAX_RECORD_BYTES = 2**20

# A zip's table of contents is read at once: 40,000 files, or some tens of MB of Python objects.
MAX_READ = 4 * 2**20

PACKED_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)


class Meter:
    """Counts the bytes read off the disk, tells `progress` (read, total) and stops when `cancelled` says so.

    `total` is what all passes over the file will read together.
    """

    def __init__(
        self,
        total: int,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self.total = total
        self._read = 0
        self._progress = progress
        self._cancelled = cancelled

    def add(self, count: int) -> None:
        """Tell that so many more bytes have been read; raises CorpusError `cancelled`."""
        self._read = min(self._read + count, self.total)
        if self._progress:
            self._progress(self._read, self.total)
        if self._cancelled and self._cancelled():
            raise CorpusError("cancelled", "Reading was cancelled; nothing was kept.")

    def finish(self) -> None:
        """Tell that all has been read, if parts of the file were of no interest."""
        self.add(self.total - self._read)


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
                "too_many_files", "The archive lists too many files; send those with the texts alone."
            )
        return super().read(size)


def open_metered(path: Path, meter: Meter) -> BinaryIO:
    """The file itself, counted as it is read; no single read may ask for more than `MAX_READ` bytes."""
    return _Bounded(_Metered(path, meter), 2**16)


class Source(io.RawIOBase):
    """The unpacked bytes of one piece of a file, as a raw stream to read once.

    `packed` is the size it has on disk, 0 if it is not packed. Reading raises CorpusError `too_large` past
    `MAX_BYTES` in all or `MAX_RATIO` times the packed size, `record_too_large` when more than `record_bytes`
    come without a call of `new_record`, and `bad_archive` when the packed data are damaged.
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
        """Tell that a record has been read whole, so that the next may be as long."""
        self._in_record = 0

    def readinto(self, buffer: memoryview) -> int:
        try:
            chunk = self._stream.read(min(len(buffer), MAX_READ))
        except PACKED_ERRORS as error:
            raise bad_archive(error) from error
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
                f"One record of the file is larger than {limit} KiB; a description is a few sentences.",
                limit_kib=limit,
            )

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def check_size(unpacked: int, packed: int) -> None:
    """Raise CorpusError `too_large` for a size, or a growth, that no export has."""
    if unpacked > MAX_BYTES:
        limit = MAX_BYTES // 2**20
        raise CorpusError(
            "too_large", f"The unpacked file is larger than {limit} MiB; send a part of it.", limit_mib=limit
        )
    if packed and unpacked > max(RATIO_FROM, MAX_RATIO * packed):
        raise CorpusError(
            "too_dense",
            f"The file grows more than {MAX_RATIO}-fold when unpacked, as no export does; send it unpacked.",
            ratio=MAX_RATIO,
        )


def bad_archive(error: Exception) -> CorpusError:
    """The sentence for packed data that cannot be unpacked."""
    return CorpusError(
        "bad_archive",
        f"The file starts like gzip or zip but cannot be unpacked ({error}); send it whole, or unpacked.",
        reason=str(error),
    )
