"""The file of a run archive: a zip of three stored members, of which every byte is fixed, derived or hashed.

The members have fixed names and a fixed order, nothing is compressed, and the zip's comment is the SHA-256
of all bytes before it. Any program for zips opens such a file, and it can be read without trusting it: where
each byte lies follows from three sizes, so there is nothing to unpack, no name to follow, and no room for a
fourth member. The hash finds damage; it does not say who wrote the file.
"""

import hashlib
import struct
import zlib
from collections.abc import Sequence
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


@dataclass
class ZipMember:
    """One member: where its header begins, its size, and its checksum as zips have it."""

    name: str
    start: int
    size: int = 0
    crc: int = 0

    @property
    def data(self) -> int:
        """Where its bytes begin."""
        return self.start + LOCAL.size + len(self.name)

    @property
    def end(self) -> int:
        return self.data + self.size

    def header(self) -> bytes:
        """The bytes before its own."""
        return LOCAL.pack(b"PK\x03\x04", VERSION_NEEDED, *self._fields(), 0) + self.name.encode()

    def entry(self) -> bytes:
        """Its line in the zip's directory."""
        head = (b"PK\x01\x02", VERSION_NEEDED, VERSION_NEEDED, *self._fields())
        return CENTRAL.pack(*head, 0, 0, 0, 0, 0, self.start) + self.name.encode()

    def _fields(self) -> tuple[int, ...]:
        return 0, 0, 0, FIRST_DAY, self.crc, self.size, self.size, len(self.name)


def _directory(members: Sequence[ZipMember]) -> bytes:
    """All bytes after the last member, but for the digest."""
    ending = (len(members), len(members), DIRECTORY_BYTES, members[-1].end, DIGEST_BYTES)
    return b"".join(member.entry() for member in members) + END.pack(b"PK\x05\x06", 0, 0, *ending)


class ArchiveWriter:
    """An archive being written to an empty file that can be sought: members in order, then `close()`.

    >>> import io
    >>> writer = ArchiveWriter(io.BytesIO())
    >>> for name in NAMES:
    ...     writer.begin(name)
    ...     writer.write(name.encode())
    >>> writer.close()
    >>> ArchiveReader(writer.file).read(CHECKPOINT)
    b'checkpoint.safetensors'
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.members: list[ZipMember] = []

    def begin(self, name: str) -> None:
        """Begin this member; its header follows in `close`, when its size is known."""
        self.members.append(ZipMember(name, self.members[-1].end if self.members else 0))
        self.file.seek(self.members[-1].data)

    def write(self, data: bytes) -> None:
        """Write the next bytes of the member. Raises ArchiveError when the file grows too large."""
        last = self.members[-1]
        if last.end + len(data) > MAX_BYTES:
            raise too_large("the run")
        self.file.write(data)
        last.size, last.crc = last.size + len(data), zlib.crc32(data, last.crc)

    def close(self) -> None:
        """Write the headers, the directory and the digest."""
        end = self.members[-1].end
        parts = [(member.start, member.header()) for member in self.members]
        for start, part in (*parts, (end, _directory(self.members))):
            self.file.seek(start)
            self.file.write(part)
        digest = file_digest(self.file, end + TAIL_BYTES)
        self.file.seek(end + TAIL_BYTES - DIGEST_BYTES)
        self.file.write(digest)


class ArchiveReader:
    """An archive's members, once the file is known to be whole. Raises ArchiveError when it is not."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        size = file.seek(0, 2)
        if size > MAX_BYTES + TAIL_BYTES:
            raise too_large("the file")
        file.seek(0)
        if not file.read(4 + LOCAL.size + len(LOG)).startswith(b"PK\x03\x04"):
            raise ArchiveError("not_archive", "Not a sparsecore run file.")
        self.members = self._members(size)

    def _members(self, size: int) -> dict[str, ZipMember]:
        """The members by the directory, if every byte but their own is what it must be."""
        if size < TAIL_BYTES:
            raise damaged()
        self.file.seek(size - TAIL_BYTES)
        tail, at, start = self.file.read(TAIL_BYTES), 0, 0
        found = []
        for name in NAMES:
            crc, length = CENTRAL.unpack_from(tail, at)[7:9]
            found.append(ZipMember(name, start, length, crc))
            start, at = found[-1].end, at + CENTRAL.size + len(name)
        if start + TAIL_BYTES != size or tail != _directory(found) + file_digest(self.file, size):
            raise damaged()
        for member in found:
            self.file.seek(member.start)
            if self.file.read(member.data - member.start) != member.header():
                raise damaged()
        return {member.name: member for member in found}

    def size(self, name: str) -> int:
        """How many bytes a member has."""
        return self.members[name].size

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        """`size` bytes of a member from `start` on, all by default."""
        member = self.members[name]
        wanted = member.size - start if size is None else size
        self.file.seek(member.data + start)
        found = self.file.read(wanted) if start + wanted <= member.size else b""
        if len(found) != wanted:
            raise damaged()
        return found


def file_digest(file: BinaryIO, size: int) -> bytes:
    """The comment that an archive of `size` bytes must have."""
    digest, left = hashlib.sha256(), size - DIGEST_BYTES
    file.seek(0)
    while left > 0 and (chunk := file.read(min(CHUNK, left))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest().encode()


def damaged() -> ArchiveError:
    """A file that is not as it was written."""
    return ArchiveError("damaged", "The run file is damaged or incomplete; export the run again.")


def too_large(what: str) -> ArchiveError:
    """More than an archive may have."""
    return ArchiveError(
        "too_large",
        f"A run file may have at most {MAX_BYTES >> 20:,} MiB; {what} has more.",
        mib=MAX_BYTES >> 20,
    )
