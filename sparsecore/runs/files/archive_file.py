"""The file of a run archive: a zip of three stored members whose every byte is fixed, derived or hashed.

The members have fixed names and a fixed order, nothing is compressed, and the zip's comment is the SHA-256
of all that comes before it. Such a file can be opened with any program for zips, and read without trusting
one: where each byte lies follows from three sizes, so there is nothing to unpack, no name to follow, and no
room for a fourth member. The hash finds damage; it does not say who wrote the file.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

NAMES = ("log.bin", "checkpoint.safetensors", "manifest.json")
LOG, CHECKPOINT, MANIFEST = NAMES
LOCAL, CENTRAL, END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")
FIRST_DAY = 0x21  # 1980-01-01: an archive of the same run has the same bytes, whenever it was made
VERSION_NEEDED = 20  # of the zip format: stored members
DIGEST_BYTES = 64  # SHA-256 in hexadecimal digits
DIRECTORY_BYTES = sum(CENTRAL.size + len(name) for name in NAMES)
TAIL_BYTES = DIRECTORY_BYTES + END.size + DIGEST_BYTES
CHUNK = 1_048_576
MAX_BYTES = 2**30  # of a file; a run of texts at paper size has 0.2 GB


class ArchiveError(ValueError):
    """A file that is refused, or a run that cannot be exported; the message is one sentence.

    `code` is a fixed word, `not_archive`, `damaged`, `version`, `too_large` or `content`, and `details` the
    values in the sentence, so that a page can say the same in another language.
    """

    def __init__(self, code: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.code, self.details = code, details


@dataclass(frozen=True)
class Member:
    """One member: its checksum as zips have it, its size, and where its header begins."""

    name: str
    crc: int
    size: int
    start: int

    @property
    def data(self) -> int:
        """Where its bytes begin."""
        return self.start + LOCAL.size + len(self.name)

    @property
    def end(self) -> int:
        return self.data + self.size

    def header(self) -> bytes:
        """What stands before its bytes."""
        return LOCAL.pack(b"PK\x03\x04", VERSION_NEEDED, *self._described(), 0) + self.name.encode()

    def entry(self) -> bytes:
        """Its line in the zip's directory."""
        head = (b"PK\x01\x02", VERSION_NEEDED, VERSION_NEEDED, *self._described())
        return CENTRAL.pack(*head, 0, 0, 0, 0, 0, self.start) + self.name.encode()

    def _described(self) -> tuple[int, ...]:
        return 0, 0, 0, FIRST_DAY, self.crc, self.size, self.size, len(self.name)


def _directory(members: Iterable[Member]) -> bytes:
    """All that follows the last member, but for the digest."""
    found = list(members)
    ending = (len(found), len(found), DIRECTORY_BYTES, found[-1].end, DIGEST_BYTES)
    return b"".join(member.entry() for member in found) + END.pack(b"PK\x05\x06", 0, 0, *ending)


class Writing:
    """An archive being written to an empty file that can be sought: members in order, then `close()`.

    >>> import io
    >>> writing = Writing(io.BytesIO())
    >>> for name in NAMES:
    ...     writing.begin(name)
    ...     writing.write(name.encode())
    >>> writing.close()
    >>> Reading(writing.file).read(CHECKPOINT)
    b'checkpoint.safetensors'
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.members: list[Member] = []

    def begin(self, name: str) -> None:
        """What is written from now on belongs to this member."""
        self._finish()
        self.members.append(Member(name, 0, 0, self.file.tell()))
        self.file.write(self.members[-1].header())

    def write(self, data: bytes) -> None:
        """The next bytes of the member; raises ArchiveError when the file grows too large."""
        last = self.members[-1]
        if last.end + len(data) > MAX_BYTES:
            raise too_large("the run")
        self.file.write(data)
        self.members[-1] = Member(last.name, zlib.crc32(data, last.crc), last.size + len(data), last.start)

    def close(self) -> None:
        """The directory and the digest."""
        self._finish()
        self.file.write(_directory(self.members))
        size = self.file.tell()
        digest = _digest(self.file, size)
        self.file.seek(size)
        self.file.write(digest)

    def _finish(self) -> None:
        """Put the size and the checksum into the header of the last member, which are known only now."""
        if self.members:
            last = self.members[-1]
            self.file.seek(last.start)
            self.file.write(last.header())
            self.file.seek(last.end)


class Reading:
    """An archive's members, once the file is known to be whole; raises ArchiveError when it is not."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        size = file.seek(0, 2)
        if size > MAX_BYTES + TAIL_BYTES:
            raise too_large("the file")
        file.seek(0)
        if not file.read(4 + LOCAL.size + len(LOG)).startswith(b"PK\x03\x04"):
            raise ArchiveError("not_archive", "This is no run archive of sparsecore.")
        self.members = self._members(size)
        if file_digest(file, size) != self.tail[-DIGEST_BYTES:]:
            raise damaged()

    def _members(self, size: int) -> dict[str, Member]:
        """The members as the directory has them, if every byte beside their own is where it must be."""
        if size < TAIL_BYTES:
            raise damaged()
        self.file.seek(size - TAIL_BYTES)
        self.tail = self.file.read(TAIL_BYTES)
        found, start, at = {}, 0, 0
        for name in NAMES:
            crc, length = CENTRAL.unpack_from(self.tail, at)[7:9]
            found[name] = Member(name, crc, length, start)
            start, at = found[name].end, at + CENTRAL.size + len(name)
        if start + TAIL_BYTES != size or self.tail[:-DIGEST_BYTES] != _directory(found.values()):
            raise damaged()
        for member in found.values():
            self.file.seek(member.start)
            if self.file.read(member.data - member.start) != member.header():
                raise damaged()
        return found

    def size(self, name: str) -> int:
        """How many bytes a member has."""
        return self.members[name].size

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        """`size` bytes of a member from `start` on, all by default."""
        member = self.members[name]
        wanted = member.size - start if size is None else size
        if start + wanted > member.size:
            raise damaged()
        self.file.seek(member.data + start)
        found = self.file.read(wanted)
        if len(found) != wanted:
            raise damaged()
        return found


def file_digest(file: BinaryIO, size: int) -> bytes:
    """What the comment of an archive of so many bytes must be."""
    return _digest(file, size - DIGEST_BYTES)


def _digest(file: BinaryIO, size: int) -> bytes:
    digest = hashlib.sha256()
    file.seek(0)
    for chunk in _chunks(file, size):
        digest.update(chunk)
    return digest.hexdigest().encode()


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := file.read(min(CHUNK, size))):
        size -= len(chunk)
        yield chunk


def damaged() -> ArchiveError:
    """A file that is not as it was written."""
    return ArchiveError("damaged", "The run archive is damaged or incomplete; export the run again.")


def too_large(what: str) -> ArchiveError:
    """More than an archive may have."""
    return ArchiveError(
        "too_large", f"An archive has at most {MAX_BYTES >> 20:,} MiB; {what} has more.", mib=MAX_BYTES >> 20
    )
