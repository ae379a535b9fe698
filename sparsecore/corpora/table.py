"""Tables of texts and grades: comma-, tab- or semicolon-separated, in UTF-8 or gb18030."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from sparsecore.corpora.corpus import CorpusError, quote
from sparsecore.corpora.source import Source

DELIMITERS = (",", "\t", ";")

# UTF-8 first: Chinese UTF-8 is often valid gb18030 too, but hardly ever the other way round.
ENCODINGS = ("utf-8-sig", "gb18030")

# Most telling name first: of several that match, the first here is taken.
TEXT_NAMES = (
    "text",
    "description",
    "漏洞描述",
    "描述",
    "content",
    "文本",
    "内容",
    "漏洞简介",
    "简介",
    "details",
)
GRADE_COLUMN_NAMES = (
    *("label", "severity", "serverity", "grade", "危害等级", "风险等级", "漏洞等级", "等级"),
    *("危害级别", "漏洞级别", "级别", "严重程度", "严重性", "baseseverity", "level", "标签"),
)

CHUNK_BYTES = 2**16


def read_table(path: Path) -> Iterator[tuple[str, str]]:
    """The (text, grade name) pairs of a table with a header row, streamed, "" for a cell that a row lacks.

    The delimiter is the one that makes both columns appear in the header; their names are in `TEXT_NAMES` and
    `GRADE_COLUMN_NAMES`, in any case. Blank lines are passed over. Raises CorpusError `no_text_column`,
    `no_label_column`, `not_csv`, `encoding`, `unknown_format`, or those of `Source`.
    """
    encoding = _encoding(path)
    with Source(path) as source, io.TextIOWrapper(io.BufferedReader(source), encoding, newline="") as lines:
        header = next(line for line in lines if line.strip())
        delimiter, text_at, grade_at = _columns(header)
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            for row in rows:
                source.new_record()
                if row:
                    yield _cell(row, text_at), _cell(row, grade_at)
        except csv.Error as error:
            raise CorpusError(
                "not_csv",
                f"The table cannot be split into cells near row {rows.line_num + 1} ({error}); "
                'a cell with a delimiter, a line break or a " stands in quotes, with each " in it doubled.',
                row=rows.line_num + 1,
                reason=str(error),
            ) from error


def _encoding(path: Path) -> str:
    """The first of `ENCODINGS` that the whole file obeys: the head alone may be plain ASCII."""
    for encoding in ENCODINGS:
        if _obeys(path, encoding):
            return encoding
    raise CorpusError("encoding", "The file's text is neither UTF-8 nor gb18030; save it as UTF-8.")


def _obeys(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with Source(path) as source:
        while chunk := source.read(CHUNK_BYTES):
            source.new_record()
            if b"\0" in chunk:
                raise CorpusError(
                    "unknown_format", "The file holds binary zeros; save the table as CSV in UTF-8."
                )
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                return False
    if decoder.getstate()[0]:
        raise CorpusError("encoding", "The file ends in the middle of a character; send it whole.")
    return True


def _columns(header: str) -> tuple[str, int, int]:
    """The delimiter and the places of the text and the grade column."""
    splits = {delimiter: _split(header, delimiter) for delimiter in DELIMITERS}
    for delimiter, names in splits.items():
        text_at, grade_at = _find(names, TEXT_NAMES), _find(names, GRADE_COLUMN_NAMES)
        if text_at is not None and grade_at is not None:
            return delimiter, text_at, grade_at
    names = max(splits.values(), key=len)
    no_text = _find(names, TEXT_NAMES) is None
    accepted = TEXT_NAMES if no_text else GRADE_COLUMN_NAMES
    raise CorpusError(
        "no_text_column" if no_text else "no_label_column",
        f"The table has no {'text' if no_text else 'label'} column "
        f"(its first columns are: {', '.join(quote(names))}); name it one of {', '.join(accepted)}.",
        found=quote(names),
        accepted=list(accepted),
    )


def _split(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter))
    except csv.Error:
        # A header over csv's field limit: then the whole line, cut short by `quote`, is what was found.
        return [header]


def _find(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    folded = [name.strip().casefold() for name in names]
    return next((folded.index(name) for name in wanted if name in folded), None)


def _cell(row: Sequence[str], place: int) -> str:
    return row[place] if place < len(row) else ""
