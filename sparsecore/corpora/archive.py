"""The pieces of a file: itself, what gzip packed, or the files of a zip. Nothing is ever written to disk."""

import gzip
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from sparsecore.corpora.corpus import CorpusError, quote
from sparsecore.corpora.source import (
    MAX_READ,
    Meter,
    Source,
    bad_archive,
    check_size,
    open_metered,
)

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
EMPTY_ZIP = b"PK\x05\x06"
OTHER_ARCHIVES = (b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
WORKBOOK = "[Content_Types].xml"

# A zip's other methods can ask for gigabytes of memory before the first byte.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# cvelistV5 has a file a record, of which a zip may hold some thousands; each costs time to open.
MAX_FILES = 10_000
ENCRYPTED = 1


# Opens one file with data in it: its unpacked bytes, as often as wanted.
Piece = Callable[[], Source]


@contextmanager
def pieces(path: Path, meter: Meter) -> Iterator[list[Piece] | zipfile.ZipFile]:
    """The pieces of a file, told by its first bytes; for an Excel workbook its open zip.

    Raises CorpusError `bad_archive`, `nested`, `unsafe_name`, `too_many_files`, `too_large`, `too_dense`.
    """
    with open_metered(path, meter) as file:
        head = file.peek(8)[:8]
    _refuse_other(head)
    if head.startswith(GZIP):
        yield [lambda: _gunzipped(path, meter)]
    elif head.startswith((ZIP, EMPTY_ZIP)):
        with open_metered(path, meter) as file, _zip(file, path.stat().st_size) as archive:
            yield archive if WORKBOOK in archive.namelist() else _members(archive)
    else:
        yield [lambda: Source(open_metered(path, meter))]


def refuse_nested(head: bytes) -> None:
    """Raise CorpusError `nested` where an archive begins inside an archive."""
    if head.startswith((GZIP, ZIP, EMPTY_ZIP, *OTHER_ARCHIVES)):
        raise CorpusError("nested", "The archive holds another archive; unpack it and send the file inside.")


def _refuse_other(head: bytes) -> None:
    if head.startswith(OTHER_ARCHIVES):
        raise CorpusError("other_archive", "The file is packed in a way that is not read; use gzip or zip.")


def _gunzipped(path: Path, meter: Meter) -> Source:
    return Source(_Gzip(open_metered(path, meter)), packed=path.stat().st_size)


class _Gzip(gzip.GzipFile):
    """A gzip stream that closes the file under it."""

    def __init__(self, file: object) -> None:
        super().__init__(fileobj=file)
        self._under = file

    def close(self) -> None:
        super().close()
        self._under.close()


def _zip(file: object, packed: int) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OverflowError, ValueError, NotImplementedError) as error:
        if isinstance(error, CorpusError):
            raise
        raise bad_archive(error) from error
    try:
        _check(archive, packed)
    except CorpusError:
        archive.close()
        raise
    return archive


def _check(archive: zipfile.ZipFile, packed: int) -> None:
    infos = archive.infolist()
    if len(infos) > MAX_FILES:
        raise CorpusError(
            "too_many_files",
            f"The archive holds more than {MAX_FILES:,} files; send those with the texts alone.",
        )
    # A file inside never gives more than the size that the table of contents states.
    check_size(sum(info.file_size for info in infos), packed)
    for info in infos:
        parts = PurePosixPath(info.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in info.filename[:2]:
            raise CorpusError(
                "unsafe_name",
                f"The archive holds a file named {quote([info.filename])[0]}, which points outside; "
                "pack the texts anew.",
                name=quote([info.filename])[0],
            )
        if info.flag_bits & ENCRYPTED:
            raise bad_archive(ValueError("it is encrypted"))
        if info.compress_type not in METHODS:
            raise bad_archive(ValueError("it uses another method than deflate"))


def _members(archive: zipfile.ZipFile) -> list[Piece]:
    found = [_opener(archive, info) for info in archive.infolist() if _is_data(info)]
    if not found:
        raise CorpusError("empty", "The archive holds no file with data; put an export or a table into it.")
    return found


def _is_data(info: zipfile.ZipInfo) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(info.filename).parts)
    return info.file_size > 0 and not info.is_dir() and not hidden


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Piece:
    def open_member() -> Source:
        try:
            return Source(archive.open(info))
        except (zipfile.BadZipFile, EOFError) as error:
            raise bad_archive(error) from error

    return open_member


def scan(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The unpacked bytes of a zip's file, in chunks."""
    with _opener(archive, info)() as source:
        while chunk := source.read(min(MAX_READ, 2**20)):
            source.new_record()
            yield chunk
