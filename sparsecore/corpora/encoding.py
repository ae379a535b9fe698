"""Decode bytes to text: UTF-8, UTF-16 by its byte order mark, or an older encoding told by its content."""

import codecs
import io
import re

from sparsecore.corpora.archive import OpenMember
from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.source import Source

# By byte order mark, the longer ones first: UTF-32's begins with UTF-16's.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    **dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "utf-32"),
    **dict.fromkeys((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "utf-16"),
}
# Encodings without a mark, told apart by the text that they yield. Almost any bytes are valid in several.
OLDER = ("gb18030", "big5", "cp932", "euc_kr", "cp1252")
SAMPLE_BYTES = 2**16
SAMPLE_LINES = 400  # lines with other than ASCII characters that the choice rests on
BOUNDARIES = (b" ", b",", b'"')  # never a part of another character
# In a Western text no four of them follow each other, and most are ASCII; not so in a damaged file of another
# script.
OTHER_SCRIPT = re.compile(rb"[\x80-\xff]{4}")
MAX_WESTERN = 0.25
KANA = re.compile("[ぁ-ヿ]")  # full-width: half-width kana alone are misread Chinese or Western text

# The encoding declaration of an XML file. expat reads no multi-byte Chinese encoding, so it gets UTF-8
# without the declaration.
DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
SUPPORTED = {
    **dict.fromkeys(("utf-8", "utf8", "utf-16", "us-ascii", "ascii"), None),
    **dict.fromkeys(("gb18030", "gbk", "gb2312"), "gb18030"),
    **dict.fromkeys(("shift_jis", "windows-31j"), "cp932"),
    **{"big5": "big5", "euc-kr": "euc_kr", "windows-1252": "cp1252", "iso-8859-1": "cp1252"},
}

CHUNK_BYTES = 2**16
WIDE = ("utf-16", "utf-32")  # in which NUL bytes are part of characters


def detect_encoding(open_member: OpenMember, declared: str | None = None) -> str:
    """Return the encoding of a member, after decoding all of it: its head alone may be plain ASCII.

    What is not UTF-8 is in the declared encoding if there is one, else in the one told by its content.

    Raises CorpusError `encoding`, or `unknown_format` for NUL bytes, which no text contains.
    """
    with open_member() as source:
        head = source.read(4)
    encoding = mark_of(head) or "utf-8"
    if _decodes(open_member, encoding):
        return encoding
    older = declared or _older(open_member) if encoding == "utf-8" else None
    if older and _decodes(open_member, older):
        return older
    raise CorpusError(
        "encoding", "The file's text is neither UTF-8 nor in an encoding that can be told; save it as UTF-8."
    )


def mark_of(head: bytes) -> str | None:
    """Return the encoding that a byte order mark names, None without one."""
    return next((encoding for mark, encoding in MARKS.items() if head.startswith(mark)), None)


def _older(open_member: OpenMember) -> str | None:
    """Return the most plausible of `OLDER` for the lines of a member that are not ASCII; None without any."""
    from charset_normalizer import from_bytes  # takes 0.1 s to load, and few files need it

    lines: list[bytes] = []
    with open_member() as source, io.BufferedReader(source) as file:
        size = 0
        while (line := file.readline(CHUNK_BYTES)) and len(lines) < SAMPLE_LINES and size < SAMPLE_BYTES:
            source.new_record()
            if len(line) == CHUNK_BYTES:
                line = line[: 1 + max(map(line.rfind, BOUNDARIES))]
            if not line.isascii():
                lines.append(line)
                size += len(line)
    if len(lines) > 1 and not lines[-1].endswith(b"\n"):
        lines.pop()  # a truncated file ends within a character
    sample = b"".join(lines)
    found = list(from_bytes(sample, cp_isolation=list(OLDER), enable_fallback=False)) if lines else []
    if found and found[0].encoding == "cp1252":
        return None if _is_no_western(sample) else "cp1252"
    # The library prefers the fewest odd characters; how well they form a language says more.
    eastern = (
        each
        for each in found
        if each.encoding != "cp1252" and (each.encoding != "cp932" or KANA.search(str(each)))
    )
    best = max(eastern, key=lambda each: each.coherence, default=None)
    return best.encoding if best else None


def _is_no_western(sample: bytes) -> bool:
    return bool(OTHER_SCRIPT.search(sample)) or sum(byte > 127 for byte in sample) > MAX_WESTERN * len(sample)


def declared_encoding(head: bytes) -> str | None:
    """Return the encoding that an XML declares, None for UTF; raise CorpusError `encoding` for others."""
    found = DECLARED.match(head)
    declared = found[1].decode("ascii").lower() if found else "utf-8"
    if declared not in SUPPORTED:
        raise CorpusError(
            "encoding",
            f"The XML is encoded in {declared}, which is not supported; save it as UTF-8.",
            found=declared,
        )
    return SUPPORTED[declared]


def open_text(source: Source, encoding: str) -> io.TextIOWrapper:
    """Open a source as text; line ends are kept."""
    return io.TextIOWrapper(io.BufferedReader(source, CHUNK_BYTES), encoding, newline="")


def _decodes(open_member: OpenMember, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with open_member() as source:
        while chunk := source.read(CHUNK_BYTES):
            source.new_record()
            if b"\0" in chunk and not encoding.startswith(WIDE):
                raise CorpusError("unknown_format", "The file contains NUL bytes; save it as text in UTF-8.")
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
