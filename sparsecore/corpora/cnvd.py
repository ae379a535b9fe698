"""CNVD's weekly XML: `vulnerabilitys/vulnerability` with `description` and `serverity`, as they spell it."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sparsecore.corpora.corpus import CorpusError, quote
from sparsecore.corpora.source import Source

ROOT, RECORD, TEXT, GRADE = "vulnerabilitys", "vulnerability", "description", "serverity"

# Expat reads no multi-byte Chinese encoding itself; gb18030 contains the other two.
CHINESE_ENCODINGS = frozenset(("gb18030", "gbk", "gb2312"))
PLAIN_ENCODINGS = frozenset(("utf-8", "utf8", "us-ascii", "ascii"))

DECLARED_ENCODING = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")


def read_cnvd(path: Path, head: bytes) -> Iterator[tuple[str, str]]:
    """The (description, grade name) pairs of a CNVD export, streamed, "" for what a record lacks.

    `head` holds the file's first unpacked bytes, without a byte order mark. Escaped markup in a description
    stays the text it is. Raises CorpusError `not_xml`, `dtd`, `other_xml`, `encoding`, or those of `Source`.
    """
    with Source(path) as source:
        try:
            yield from _records(source, _decoded(source, head))
        except ParseError as error:
            (line, column), reason = error.position, str(error).partition(":")[0]
            raise CorpusError(
                "not_xml",
                f"The XML is not well-formed at line {line}, column {column} ({reason}); "
                "download it again, or escape each & and < in the texts.",
                line=line,
                column=column,
                reason=reason,
            ) from error
        except DefusedXmlException as error:
            raise CorpusError(
                "dtd",
                "The XML declares a document type or entities, which can attack its reader; "
                "CNVD's exports have none, so send one as published.",
            ) from error
        except UnicodeDecodeError as error:
            raise CorpusError(
                "encoding",
                f"The XML declares {error.encoding} but holds other bytes; save it as UTF-8.",
                found=error.encoding,
            ) from error


def _decoded(source: Source, head: bytes) -> io.IOBase:
    found = DECLARED_ENCODING.match(head)
    encoding = found[1].decode("ascii").lower() if found else "utf-8"
    if encoding in CHINESE_ENCODINGS:
        return io.TextIOWrapper(io.BufferedReader(source), encoding="gb18030")
    if encoding in PLAIN_ENCODINGS:
        return source
    raise CorpusError(
        "encoding",
        f"The XML is encoded in {encoding}; UTF-8 and gb18030 are read, so save it as UTF-8.",
        found=encoding,
    )


def _records(source: Source, stream: io.IOBase) -> Iterator[tuple[str, str]]:
    depth, root = 0, None
    for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
        depth += 1 if event == "start" else -1
        if root is None:
            root = element
            _require_cnvd(root.tag)
        elif event == "end" and depth == 1:
            if element.tag == RECORD:
                yield _inner_text(element, TEXT), _inner_text(element, GRADE)
            root.clear()
            source.new_record()


def _require_cnvd(tag: str) -> None:
    if tag != ROOT:
        found = quote([tag])[0]
        raise CorpusError(
            "other_xml",
            f"The XML's root element is <{found}>; a CNVD export with the root <{ROOT}> is needed.",
            root=found,
        )


def _inner_text(record: Element, tag: str) -> str:
    element = record.find(tag)
    return "" if element is None else "".join(element.itertext())
