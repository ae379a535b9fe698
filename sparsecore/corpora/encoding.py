"""Decode bytes to text: UTF-8, with or without a byte order mark, or gb18030."""

import codecs
import io
import re

from sparsecore.corpora.archive import OpenMember
from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.source import Source

# UTF-8 first: Chinese UTF-8 is often valid gb18030, but gb18030 is hardly ever valid UTF-8.
ENCODINGS = ("utf-8-sig", "gb18030")

# The encoding declaration of an XML file. expat reads no multi-byte Chinese encoding, so it gets UTF-8
# without the declaration.
DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
SUPPORTED = frozenset(("utf-8", "utf8", "us-ascii", "ascii", "gb18030", "gbk", "gb2312"))

CHUNK_BYTES = 2**16


def detect_encoding(open_member: OpenMember) -> str:
    """Return the first of `ENCODINGS` that decodes the whole member; its head alone may be plain ASCII.

    Raises CorpusError `encoding`, or `unknown_format` for NUL bytes, which no text contains.
    """
    for encoding in ENCODINGS:
        if _decodes(open_member, encoding):
            return encoding
    raise CorpusError("encoding", "The file's text is neither UTF-8 nor gb18030; save it as UTF-8.")


def check_declared_encoding(head: bytes) -> None:
    """Raise CorpusError `encoding` if an XML file declares an unsupported encoding."""
    found = DECLARED.match(head)
    if found and found[1].decode("ascii").lower() not in SUPPORTED:
        declared = found[1].decode("ascii").lower()
        raise CorpusError(
            "encoding",
            f"The XML is encoded in {declared}; only UTF-8 and gb18030 are supported, so save it as UTF-8.",
            found=declared,
        )


def open_text(source: Source, encoding: str) -> io.TextIOWrapper:
    """Open a source as text; line ends are kept."""
    return io.TextIOWrapper(io.BufferedReader(source), encoding, newline="")


def _decodes(open_member: OpenMember, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with open_member() as source:
        while chunk := source.read(CHUNK_BYTES):
            source.new_record()
            if b"\0" in chunk:
                raise CorpusError(
                    "unknown_format", "The file contains NUL bytes; save it as text in UTF-8 or gb18030."
                )
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                return False
    if decoder.getstate()[0]:
        raise CorpusError("encoding", "The file ends in the middle of a character; use the complete file.")
    return True


class Utf8Stream(io.RawIOBase):
    """A text as a raw stream of UTF-8 bytes; `transform` may change each chunk or hold text back."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self._ready = memoryview(b"")
        self._ended = False

    def transform(self, chunk: str, last: bool) -> str:
        """Transform the next chunk; `last` is true for the empty chunk at the end of the text."""
        del last
        return chunk

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while not self._ready and not self._ended:
            chunk = self._text.read(CHUNK_BYTES)
            self._ended = not chunk
            self._ready = memoryview(self.transform(chunk, self._ended).encode("utf-8", "replace"))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
