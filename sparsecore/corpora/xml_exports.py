"""CNVD's and CNNVD's XML exports, streamed."""

import io
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sparsecore.corpora.archive import Piece
from sparsecore.corpora.corpus import CorpusError, Record, quote, require_no_more
from sparsecore.corpora.encoding import encoding_of, require_known, text_of
from sparsecore.corpora.intake import Intake
from sparsecore.corpora.source import Source
from sparsecore.corpora.xml_repair import Repaired

# Format, path of the text, of the grade and of the date, by root and record element, as they spell them.
SHAPES = {
    ("vulnerabilitys", "vulnerability"): ("CNVD XML", "description", "serverity", "openTime"),
    ("cnnvd", "entry"): ("CNNVD XML, old", "vuln-descript", "severity", "published"),
    ("cnnvd", "cnnvd_items"): ("CNNVD XML, new", "vuln_descript", "severity/overallseverity", "published"),
}
ROOTS = tuple(dict.fromkeys(root for root, _ in SHAPES))

# A real record is four deep.
MAX_DEPTH = 50

# Elements begun or ended: 200 MB of CNNVD's have seven million.
MAX_EVENTS = 25_000_000


def read_xml(piece: Piece, head: bytes, intake: Intake) -> Iterator[Record]:
    """The records of a CNVD or CNNVD export, "" for what one lacks.

    `head` holds the first unpacked bytes, without a byte order mark. Escaped markup in a description stays
    the text it is; unescaped markup becomes text. Raises CorpusError `not_xml`, `dtd`, `other_xml`,
    `too_deep`, `encoding`, or those of `Source`.
    """
    require_known(head)
    encoding = encoding_of(piece)
    with piece() as source:
        try:
            yield from _records(source, Repaired(text_of(source, encoding)), intake)
        except ParseError as error:
            (line, column), reason = error.position, str(error).partition(":")[0]
            raise CorpusError(
                "not_xml",
                f"The XML is not well-formed at line {line}, column {column} ({reason}); download it again.",
                line=line,
                column=column,
                reason=reason,
            ) from error
        except DefusedXmlException as error:
            raise CorpusError(
                "dtd",
                "The XML declares a document type or entities, which can attack its reader; "
                "CNVD's and CNNVD's exports have none, so send one as published.",
            ) from error


def _records(source: Source, stream: io.RawIOBase, intake: Intake) -> Iterator[Record]:
    depth, root, root_name = 0, None, ""
    events = iterparse(stream, events=("start", "end"), forbid_dtd=True)
    for number, (event, element) in enumerate(events):
        require_no_more(number, MAX_EVENTS)
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise CorpusError(
                "too_deep", "The file is nested more deeply than any export; send one as published."
            )
        if root is None:
            root, root_name = element, _local(element.tag)
            _require_known(root_name)
        elif event == "end" and depth == 1:
            if shape := SHAPES.get((root_name, _local(element.tag))):
                intake.saw(shape[0])
                yield _record(element, *shape[1:])
            root.clear()
            source.new_record()


def _require_known(root: str) -> None:
    if root not in ROOTS:
        found = quote([root])[0]
        raise CorpusError(
            "other_xml",
            f"The XML's root element is <{found}>; an export of CNVD with the root <{ROOTS[0]}> or of CNNVD "
            f"with the root <{ROOTS[1]}> is needed.",
            root=found,
        )


def _record(element: Element, text: str, grade: str, date: str) -> Record:
    return Record(_inner(element, text), _inner(element, grade), _inner(element, date))


def _inner(record: Element, path: str) -> str:
    """The text at a path of element names, in whatever namespace."""
    for name in path.split("/"):
        record = next((child for child in record if _local(child.tag) == name), None)
        if record is None:
            return ""
    return "".join(record.itertext())


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
