"""The bytes of an uploaded file, unpacked if gzipped, under limits that a hostile file cannot pass."""

import gzip
import io
import zlib
from pathlib import Path

from sparsecore.corpora.corpus import CorpusError

GZIP_MAGIC = b"\x1f\x8b"

# CNVD's whole archive since 2015 is about 300 MB of XML. A gzip bomb grows a thousandfold: 1 MB becomes 1 GB.
MAX_BYTES = 512 * 2**20

# A record is held in memory whole, as many small objects: the longest real one is some tens of kB,
# while 1 MiB of `<a/>` or of commas still costs only some tens of MB.
MAX_RECORD_BYTES = 2**20


class Source(io.RawIOBase):
    """The decompressed bytes of one file, as a raw stream to read once.

    Gzip is told by its first two bytes. Reading raises CorpusError `too_large` past `MAX_BYTES` in all,
    `record_too_large` when more than `MAX_RECORD_BYTES` come without a call of `new_record`, and `bad_gzip`
    when the file is cut short or only pretends to be gzip.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        packed = self._file.peek(2)[:2] == GZIP_MAGIC
        self._stream = gzip.GzipFile(fileobj=self._file) if packed else self._file
        self._total = 0
        self._in_record = 0

    def readable(self) -> bool:
        return True

    def new_record(self) -> None:
        """Tell that a record has been read whole, so that the next may be as long."""
        self._in_record = 0

    def readinto(self, buffer: memoryview) -> int:
        try:
            chunk = self._stream.read(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise CorpusError(
                "bad_gzip",
                f"The file starts like gzip but cannot be unpacked ({error}); send it whole, or unpacked.",
                reason=str(error),
            ) from error
        self._total += len(chunk)
        self._in_record += len(chunk)
        self._check_limits()
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _check_limits(self) -> None:
        if self._total > MAX_BYTES:
            limit = MAX_BYTES // 2**20
            raise CorpusError(
                "too_large",
                f"The unpacked file is larger than {limit} MiB; send a part of it.",
                limit_mib=limit,
            )
        if self._in_record > MAX_RECORD_BYTES:
            limit = MAX_RECORD_BYTES // 2**10
            raise CorpusError(
                "record_too_large",
                f"One record of the file is larger than {limit} KiB; a description is a few sentences.",
                limit_kib=limit,
            )

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._file.close()
        super().close()
