"""Bytes as text: UTF-8, with or without a byte order mark, or gb18030."""

import codecs
import io
import re

from sparsecore.corpora.archive import Piece
from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.source import Source

# UTF-8 first: Chinese UTF-8 is often valid gb18030 too, but hardly ever the other way round.
ENCODINGS = ("utf-8-sig", "gb18030")

# What an XML file may say of itself; expat reads no multi-byte Chinese encoding, so nobody asks it to.
DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
KNOWN = frozenset(("utf-8", "utf8", "us-ascii", "ascii", "gb18030", "gbk", "gb2312"))

CHUNK_BYTES = 2**16


def encoding_of(piece: Piece) -> str:
    """The first of `ENCODINGS` that the whole piece obeys: its head alone may be plain ASCII.

    Raises CorpusError `encoding`, or `unknown_format` for binary zeros, which no text has.
    """
    for encoding in ENCODINGS:
        if _obeys(piece, encoding):
            return encoding
    raise CorpusError("encoding", "The file's text is neither UTF-8 nor gb18030; save it as UTF-8.")


def require_known(head: bytes) -> None:
    """Raise CorpusError `encoding` for an XML file that declares one which is not read."""
    found = DECLARED.match(head)
    if found and found[1].decode("ascii").lower() not in KNOWN:
        declared = found[1].decode("ascii").lower()
        raise CorpusError(
            "encoding",
            f"The XML is encoded in {declared}; UTF-8 and gb18030 are read, so save it as UTF-8.",
            found=declared,
        )


def text_of(source: Source, encoding: str) -> io.TextIOWrapper:
    """A source as text, line ends as they are."""
    return io.TextIOWrapper(io.BufferedReader(source), encoding, newline="")


def _obeys(piece: Piece, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with piece() as source:
        while chunk := source.read(CHUNK_BYTES):
            source.new_record()
            if b"\0" in chunk:
                raise CorpusError(
                    "unknown_format", "The file holds binary zeros; save it as text in UTF-8 or gb18030."
                )
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                return False
    if decoder.getstate()[0]:
        raise CorpusError("encoding", "The file ends in the middle of a character; send it whole.")
    return True


class Utf8(io.RawIOBase):
    """A text as a raw stream of UTF-8 bytes, each chunk passed through `change`, which may hold back."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self._ready = memoryview(b"")
        self._ended = False

    def change(self, chunk: str, last: bool) -> str:
        """What becomes of the next chunk of the text; `last` with the empty chunk at its end."""
        del last
        return chunk

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while not self._ready and not self._ended:
            chunk = self._text.read(CHUNK_BYTES)
            self._ended = not chunk
            self._ready = memoryview(self.change(chunk, self._ended).encode("utf-8", "replace"))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
