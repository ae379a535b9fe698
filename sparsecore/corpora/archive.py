"""The members of a user's file: the file itself, its gunzipped content, or the files of a zip.

Nothing is written to disk.
"""

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
    bad_archive_error,
    check_size,
    open_metered,
)

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
EMPTY_ZIP = b"PK\x05\x06"
OTHER_ARCHIVES = (b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
WORKBOOK = "[Content_Types].xml"

# The other compression methods of zip can ask for gigabytes of memory before the first byte.
COMPRESSION_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# cvelistV5 has one file per record; a zip may hold a few thousand of them, and each takes time to open.
MAX_FILES = 10_000
ENCRYPTED = 1


# Opens one member and returns its unpacked bytes; can be called repeatedly.
OpenMember = Callable[[], Source]
Member = tuple[str, OpenMember]  # with its name in a zip, "" outside


@contextmanager
def open_members(path: Path, meter: Meter) -> Iterator[list[Member] | zipfile.ZipFile]:
    """Yield the members of a file, detected by its first bytes, or the open zip of an Excel workbook."""
    with open_metered(path, meter) as file:
        head = file.peek(8)[:8]
    if head.startswith(OTHER_ARCHIVES):
        raise CorpusError("other_archive", "This compression format is not supported; use gzip or zip.")
    if head.startswith(GZIP):
        yield [("", lambda: _open_gzip(path, meter))]
    elif head.startswith((ZIP, EMPTY_ZIP)):
        with open_metered(path, meter) as file, _open_zip(file, path.stat().st_size) as archive:
            yield archive if WORKBOOK in archive.namelist() else _members(archive)
    else:
        yield [("", lambda: Source(open_metered(path, meter)))]


def refuse_nested(head: bytes) -> None:
    """Raise CorpusError `nested` if an archive member is itself an archive."""
    if head.startswith((GZIP, ZIP, EMPTY_ZIP, *OTHER_ARCHIVES)):
        raise CorpusError(
            "nested", "The archive contains another archive; unpack it and use the file inside."
        )


def _open_gzip(path: Path, meter: Meter) -> Source:
    return Source(_GzipStream(open_metered(path, meter)), packed=path.stat().st_size)


class _GzipStream(gzip.GzipFile):
    """A gzip stream that also closes the underlying file."""

    def __init__(self, file: object) -> None:
        super().__init__(fileobj=file)
        self._compressed = file

    def close(self) -> None:
        super().close()
        self._compressed.close()


def _open_zip(file: object, packed: int) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OverflowError, ValueError, NotImplementedError) as error:
        if isinstance(error, CorpusError):
            raise
        raise bad_archive_error(error) from error
    try:
        _check_members(archive, packed)
    except CorpusError:
        archive.close()
        raise
    return archive


def _check_members(archive: zipfile.ZipFile, packed: int) -> None:
    infos = archive.infolist()
    if len(infos) > MAX_FILES:
        raise CorpusError(
            "too_many_files",
            f"The archive contains more than {MAX_FILES:,} files; include only those with texts.",
        )
    # A member never unpacks to more than its size in the table of contents.
    check_size(sum(info.file_size for info in infos), packed)
    for info in infos:
        parts = PurePosixPath(info.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in info.filename[:2]:
            raise CorpusError(
                "unsafe_name",
                f"The archive contains a file named {quote([info.filename])[0]}, "
                "which points outside the archive; pack it again.",
                name=quote([info.filename])[0],
            )
        if info.flag_bits & ENCRYPTED:
            raise bad_archive_error(ValueError("it is encrypted"))
        if info.compress_type not in COMPRESSION_METHODS:
            raise bad_archive_error(ValueError("its compression method is not deflate"))


def _members(archive: zipfile.ZipFile) -> list[Member]:
    found = [(info.filename, _member_opener(archive, info)) for info in archive.infolist() if _is_data(info)]
    if not found:
        raise CorpusError("empty", "The archive contains no data file; add an export or a table.")
    return found


def _is_data(info: zipfile.ZipInfo) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(info.filename).parts)
    return info.file_size > 0 and not info.is_dir() and not hidden


def _member_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> OpenMember:
    def open_member() -> Source:
        try:
            return Source(archive.open(info))
        except (zipfile.BadZipFile, EOFError) as error:
            raise bad_archive_error(error) from error

    return open_member


def read_chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the unpacked bytes of a zip member in chunks."""
    with _member_opener(archive, info)() as source:
        while chunk := source.read(min(MAX_READ, 2**20)):
            source.new_record()
            yield chunk
