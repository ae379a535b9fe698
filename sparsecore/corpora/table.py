"""Tables of texts and grades: comma-, tab- or semicolon-separated, in UTF-8 or gb18030."""

import csv
from collections.abc import Iterable, Iterator

from sparsecore.corpora.archive import Piece
from sparsecore.corpora.columns import GRADE_COLUMN_NAMES, TEXT_NAMES, named, records
from sparsecore.corpora.corpus import MAX_RECORDS, CorpusError, Record, require_no_more
from sparsecore.corpora.encoding import encoding_of, text_of
from sparsecore.corpora.intake import Intake
from sparsecore.corpora.source import Source

FORMATS = {",": "CSV", "\t": "TSV", ";": "CSV"}


def read_table(piece: Piece, intake: Intake) -> Iterator[Record]:
    """The records of a table with a header row, streamed.

    The delimiter is the one that makes both columns appear in the header, else the one that makes most.
    Blank lines are passed over. Raises CorpusError `no_text_column`, `no_label_column`, `not_csv`,
    `encoding`, `unknown_format`, or those of `Source`.
    """
    encoding = encoding_of(piece)
    with piece() as source, text_of(source, encoding) as lines:
        header = next(line for line in lines if line.strip())
        delimiter, names = _header(header, intake)
        intake.saw(FORMATS[delimiter])
        yield from records(names, _rows(source, lines, delimiter), intake)


def _rows(source: Source, lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for number, row in enumerate(rows):
            require_no_more(number, MAX_RECORDS)
            source.new_record()
            yield row
    except csv.Error as error:
        raise CorpusError(
            "not_csv",
            f"The table cannot be split into cells near row {rows.line_num + 1} ({error}); "
            'a cell with a delimiter, a line break or a " stands in quotes, with each " in it doubled.',
            row=rows.line_num + 1,
            reason=str(error),
        ) from error


def _header(header: str, intake: Intake) -> tuple[str, list[str]]:
    """The delimiter and the columns' names."""
    splits = {delimiter: _split(header, delimiter) for delimiter in FORMATS}
    for delimiter, names in splits.items():
        text = named(names, intake.text_column, TEXT_NAMES)
        if text is not None and named(names, intake.label_column, GRADE_COLUMN_NAMES) is not None:
            return delimiter, names
    best = max(splits, key=lambda delimiter: len(splits[delimiter]))
    return best, splits[best]


def _split(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter))
    except csv.Error:
        # A header over csv's field limit: then the whole line, cut short by `quote`, is what was found.
        return [header]
