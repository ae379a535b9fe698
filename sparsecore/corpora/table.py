"""Read tables of texts and grades: comma-, tab- or semicolon-separated."""

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from sparsecore.corpora.archive import OpenMember
from sparsecore.corpora.columns import have_known_names, table_records
from sparsecore.corpora.corpus import MAX_RECORDS, CorpusError, TextRecord, check_count
from sparsecore.corpora.encoding import CHUNK_BYTES, detect_encoding, open_text
from sparsecore.corpora.source import ReadContext, Source

FORMATS = {",": "CSV", "\t": "TSV", ";": "CSV"}
# How a cell is quoted, by the reader's options: by RFC 4180, with backslashes as databases write it, and not
# at all, as many TSV files are.
DOUBLED: dict[str, Any] = {"doublequote": True}
BACKSLASHES: dict[str, Any] = {"doublequote": False, "escapechar": "\\"}
UNQUOTED: dict[str, Any] = {"quoting": csv.QUOTE_NONE}
# A quote after a backslash, unless a second one and more of the same cell follow: there it is a doubled one.
# NUL bytes are part of characters of two and four bytes.
ESCAPE = re.compile(rb'\\\0*"(?!\0*"\0*[^,;\t\r\n\0])')
ESCAPE_BYTES = 16


def read_table(open_member: OpenMember, context: ReadContext) -> Iterator[TextRecord]:
    """Yield the records of a table with a header row, streamed.

    The delimiter is the one that yields both columns in the header, else the one that yields the most
    columns. Blank lines are skipped. Raises CorpusError `no_text_column`, `no_label_column`, `not_csv`,
    `encoding`, `unknown_format`, or those of `Source`.
    """
    encoding = detect_encoding(open_member)
    delimiter = _delimiter(open_member, encoding, context)
    quoting = _quoting(open_member, encoding, delimiter)
    with open_member() as source, open_text(source, encoding) as lines:
        rows = _rows(source, lines, delimiter, quoting)
        names = next((row for row in rows if any(cell.strip() for cell in row)), [])
        yield from table_records(names, rows, context, FORMATS[delimiter])


def _rows(
    source: Source, lines: Iterable[str], delimiter: str, quoting: dict[str, Any]
) -> Iterator[list[str]]:
    rows = csv.reader(lines, delimiter=delimiter, strict=True, **quoting)
    try:
        for number, row in enumerate(rows):
            check_count(number, MAX_RECORDS)
            source.new_record()
            yield row
    except csv.Error as error:
        raise CorpusError(
            "not_csv",
            f"The table cannot be split into cells near row {rows.line_num + 1} ({error}); "
            'a cell with a delimiter, a line break or a " must be quoted, with each " in it doubled.',
            row=rows.line_num + 1,
            reason=str(error),
        ) from error


def _quoting(open_member: OpenMember, encoding: str, delimiter: str) -> dict[str, Any]:
    """Return the way of quoting that reads the whole table best; the first of equals, by RFC 4180."""
    quotes, escapes, tail = False, False, b""
    with open_member() as source:
        while chunk := source.read(CHUNK_BYTES):
            source.new_record()
            quotes |= b'"' in chunk
            escapes |= ESCAPE.search(tail + chunk) is not None
            tail = chunk[-ESCAPE_BYTES:]
    ways = [DOUBLED, *([BACKSLASHES] if escapes else []), *([UNQUOTED] if delimiter == "\t" else [])]
    if not quotes or len(ways) == 1:
        return DOUBLED
    return max(ways, key=lambda way: _fit(open_member, encoding, delimiter, way))


def _fit(
    open_member: OpenMember, encoding: str, delimiter: str, quoting: dict[str, Any]
) -> tuple[bool, bool, int]:
    """Return whether a way of quoting reads the table, whether its rows are equally long, and their number.

    Of two ways that read all of it, one that swallows line ends finds fewer rows.
    """
    width, even, count = 0, True, 0
    with open_member() as source, open_text(source, encoding) as lines:
        try:
            for row in _rows(source, lines, delimiter, quoting):
                if row:
                    width = width or len(row)
                    even, count = even and len(row) == width, count + 1
        except CorpusError as error:
            if error.code != "not_csv":
                raise
            return False, even, count
    return True, even, count


def _delimiter(open_member: OpenMember, encoding: str, context: ReadContext) -> str:
    """Return the delimiter that splits the header into known columns, else into the most columns."""
    splits = {delimiter: _header(open_member, encoding, delimiter) for delimiter in FORMATS}
    for delimiter, names in splits.items():
        if have_known_names(names, context):
            return delimiter
    return max(splits, key=lambda delimiter: len(splits[delimiter]))


def _header(open_member: OpenMember, encoding: str, delimiter: str) -> list[str]:
    """Return the cells of the first row that is not blank; one cell if it cannot be split."""
    with open_member() as source, open_text(source, encoding) as lines:
        line = next((line for line in lines if line.strip()), "")
        try:
            return next(csv.reader(chain([line], lines), delimiter=delimiter))
        except csv.Error:
            return [line]  # over csv's field limit: `quote` cuts it short in the message
