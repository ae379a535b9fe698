"""Read tables of texts and grades: comma-, tab- or semicolon-separated, in UTF-8 or gb18030."""

import csv
from collections.abc import Iterable, Iterator

from sparsecore.corpora.archive import OpenMember
from sparsecore.corpora.columns import GRADE_COLUMN_NAMES, TEXT_NAMES, column_index, table_records
from sparsecore.corpora.corpus import MAX_RECORDS, CorpusError, TextRecord, check_count
from sparsecore.corpora.encoding import detect_encoding, open_text
from sparsecore.corpora.source import ReadContext, Source

FORMATS = {",": "CSV", "\t": "TSV", ";": "CSV"}


def read_table(open_member: OpenMember, context: ReadContext) -> Iterator[TextRecord]:
    """Yield the records of a table with a header row, streamed.

    The delimiter is the one that yields both columns in the header, else the one that yields the most
    columns. Blank lines are skipped. Raises CorpusError `no_text_column`, `no_label_column`, `not_csv`,
    `encoding`, `unknown_format`, or those of `Source`.
    """
    encoding = detect_encoding(open_member)
    with open_member() as source, open_text(source, encoding) as lines:
        header = next(line for line in lines if line.strip())
        delimiter, names = _header(header, context)
        context.add_format(FORMATS[delimiter])
        yield from table_records(names, _rows(source, lines, delimiter), context)


def _rows(source: Source, lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
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


def _header(header: str, context: ReadContext) -> tuple[str, list[str]]:
    """Return the delimiter and the column names."""
    splits = {delimiter: _split(header, delimiter) for delimiter in FORMATS}
    for delimiter, names in splits.items():
        text = column_index(names, context.text_column, TEXT_NAMES)
        if text is not None and column_index(names, context.label_column, GRADE_COLUMN_NAMES) is not None:
            return delimiter, names
    best = max(splits, key=lambda delimiter: len(splits[delimiter]))
    return best, splits[best]


def _split(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter))
    except csv.Error:
        # The header exceeds csv's field limit: report the whole line, which `quote` cuts short.
        return [header]
