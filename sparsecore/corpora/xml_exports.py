"""Stream the XML exports of CNVD and CNNVD."""

import io
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sparsecore.corpora.archive import OpenMember
from sparsecore.corpora.corpus import CorpusError, TextRecord, check_count, quote
from sparsecore.corpora.encoding import declared_encoding, detect_encoding, open_text
from sparsecore.corpora.source import ReadContext, Source
from sparsecore.corpora.xml_repair import RepairedXml

# Format name and the paths of text, grade and date, by root and record element, in the exports' own spelling.
FORMATS = {
    ("vulnerabilitys", "vulnerability"): ("CNVD XML", "description", "serverity", "openTime"),
    ("cnnvd", "entry"): ("CNNVD XML, old", "vuln-descript", "severity", "published"),
    ("cnnvd", "cnnvd_items"): ("CNNVD XML, new", "vuln_descript", "severity/overallseverity", "published"),
}
ROOTS = tuple(dict.fromkeys(root for root, _ in FORMATS))

# A real record is four levels deep.
MAX_DEPTH = 50

# Start and end events: 200 MB of CNNVD's XML have seven million.
MAX_EVENTS = 25_000_000


def read_xml(open_member: OpenMember, head: bytes, context: ReadContext) -> Iterator[TextRecord]:
    """Yield the records of a CNVD or CNNVD export; a missing field becomes "".

    `head` holds the first unpacked bytes, without a byte order mark. Escaped markup in a description stays
    text; unescaped markup becomes text. Raises CorpusError `not_xml`, `dtd`, `other_xml`, `too_deep`,
    `encoding`, or those of `Source`.
    """
    encoding = detect_encoding(open_member, declared_encoding(head))
    with open_member() as source:
        try:
            yield from _records(source, RepairedXml(open_text(source, encoding)), context)
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
                "The XML declares a document type or entities, which are a security risk; "
                "exports from CNVD and CNNVD have none, so use the original export.",
            ) from error


def _records(source: Source, stream: io.RawIOBase, context: ReadContext) -> Iterator[TextRecord]:
    depth, root, root_name = 0, None, ""
    events = iterparse(stream, events=("start", "end"), forbid_dtd=True)
    for number, (event, element) in enumerate(events):
        check_count(number, MAX_EVENTS)
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise CorpusError(
                "too_deep", "The file is nested more deeply than any export; use the original export."
            )
        if root is None:
            root, root_name = element, _local_name(element.tag)
            _check_root(root_name)
        elif event == "end" and depth == 1:
            if paths := FORMATS.get((root_name, _local_name(element.tag))):
                context.add_format(paths[0])
                yield _record(element, *paths[1:])
            root.clear()
            source.new_record()


def _check_root(root: str) -> None:
    if root not in ROOTS:
        found = quote([root])[0]
        raise CorpusError(
            "other_xml",
            f"The XML's root element is <{found}>; an export from CNVD with the root <{ROOTS[0]}> or from "
            f"CNNVD with the root <{ROOTS[1]}> is needed.",
            root=found,
        )


def _record(element: Element, text: str, grade: str, date: str) -> TextRecord:
    return TextRecord(_text_at(element, text), _text_at(element, grade), _text_at(element, date))


def _text_at(record: Element, path: str) -> str:
    """Return the text at a path of element names, in any namespace."""
    for name in path.split("/"):
        record = next((child for child in record if _local_name(child.tag) == name), None)
        if record is None:
            return ""
    return "".join(record.itertext())


def _local_name(tag: str) -> str:
    return tag.rpartition("}")[2]
