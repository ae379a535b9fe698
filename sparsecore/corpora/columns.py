"""Find the text and grade columns of a table."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from sparsecore.corpora.corpus import GRADE_NAMES, CorpusError, TextRecord, quote
from sparsecore.corpora.source import ReadContext

# Ordered by specificity: if several column names match, the first one listed here wins.
TEXT_NAMES = (
    *("text", "description", "漏洞描述", "描述", "content", "文本", "内容", "漏洞简介", "简介", "details"),
    *("vuldesc", "summary", "漏洞详情", "摘要"),
)
GRADE_COLUMN_NAMES = (
    *("label", "severity", "serverity", "grade", "危害等级", "风险等级", "漏洞等级", "等级"),
    *("危害级别", "漏洞级别", "级别", "严重程度", "严重性", "baseseverity", "level", "标签"),
)
DATE_NAMES = ("date", "published", "发布日期", "公开日期", "发布时间", "公开时间", "日期", "publisheddate")

# Limits on the column names offered to the user: real tables have a few dozen columns with short names.
MAX_NAMES, MAX_NAME_LENGTH = 100, 100

# How much of a table is sampled if no column name is known.
SAMPLE_ROWS = 200
SAMPLE_CHARACTERS = 2**20
GRADED_SHARE = 0.8  # share of known grades in a grade column; the rest may be misspelt
MIN_TEXT_LENGTH = 12  # mean characters per cell; shorter cells are names, dates or numbers


@dataclass(frozen=True)
class Columns:
    """Column indices in a row; `date` is None if the table has no known date column."""

    text: int
    label: int
    date: int | None

    def record(self, row: Sequence[str]) -> TextRecord:
        """Return the record of a row; a missing cell becomes ""."""
        date = "" if self.date is None else _cell(row, self.date)
        return TextRecord(_cell(row, self.text), _cell(row, self.label), date)


def table_records(
    names: Sequence[str], rows: Iterator[Sequence[str]], context: ReadContext
) -> Iterator[TextRecord]:
    """Yield one record per table row; raise CorpusError as `choose_columns` does."""
    sample: list[Sequence[str]] = []
    size = 0
    for row in rows:
        sample.append(row)
        size += sum(map(len, row))
        if len(sample) == SAMPLE_ROWS or size > SAMPLE_CHARACTERS:
            break
    columns = choose_columns(names, sample, context)
    for row in chain(sample, rows):
        if any(row):
            yield columns.record(row)


def choose_columns(names: Sequence[str], sample: Sequence[Sequence[str]], context: ReadContext) -> Columns:
    """Choose the columns named by the user, else those with known names, else by their content.

    Raises CorpusError `no_text_column` or `no_label_column`; `details["columns"]` lists the columns to choose
    from.
    """
    label = column_index(names, context.label_column, GRADE_COLUMN_NAMES)
    text = column_index(names, context.text_column, TEXT_NAMES)
    if label is None and context.label_column is None:
        label = _grade_column(names, sample, text)
    if text is None and context.text_column is None:
        text = _text_column(names, sample, label)
    if text is None or text == label:
        raise _missing_column("text", names, context.text_column, TEXT_NAMES)
    if label is None:
        raise _missing_column("label", names, context.label_column, GRADE_COLUMN_NAMES)
    return Columns(text, label, column_index(names, None, DATE_NAMES))


def column_index(names: Sequence[str], given: str | None, known: Sequence[str]) -> int | None:
    """Return the index of the column named `given`, or of the first known name if `given` is None."""
    folded = [name.strip().casefold() for name in names]
    wanted = known if given is None else (given.strip().casefold(),)
    return next((folded.index(name) for name in wanted if name in folded), None)


def _grade_column(names: Sequence[str], sample: Sequence[Sequence[str]], text: int | None) -> int | None:
    """Return the only column of grades; bare digits count only if no column holds grade names."""
    indices = [index for index in range(len(names)) if index != text]
    for words in (True, False):
        found = [index for index in indices if _holds_grades(_cells(sample, index), words)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _holds_grades(cells: Iterable[str], words: bool) -> bool:
    values = [cell.strip().casefold() for cell in cells if cell.strip()]
    known = [value for value in values if value in GRADE_NAMES and not (words and value.isdecimal())]
    return len(set(known)) > 1 and len(known) >= GRADED_SHARE * len(values)


def _text_column(names: Sequence[str], sample: Sequence[Sequence[str]], label: int | None) -> int | None:
    """Return the column with the longest cells, or None if all cells are short."""
    indices = [index for index in range(len(names)) if index != label]
    means = {index: sum(map(len, _cells(sample, index))) / max(len(sample), 1) for index in indices}
    best = max(means, key=means.get, default=None)
    return best if best is not None and means[best] >= MIN_TEXT_LENGTH else None


def _missing_column(what: str, names: Sequence[str], given: str | None, known: Sequence[str]) -> CorpusError:
    found = quote(names)
    missing, remedy = f"{what} column", f"specify it, or name it one of {', '.join(known)}"
    if given is not None:
        missing, remedy = f"column {quote([given])[0]!r} for the {what}s", "choose one of its columns"
    return CorpusError(
        f"no_{what}_column",
        f"The table has no {missing} (its first columns are: {', '.join(found)}); {remedy}.",
        found=found,
        accepted=list(known),
        columns=[name[:MAX_NAME_LENGTH] for name in names[:MAX_NAMES]],
    )


def _cells(sample: Sequence[Sequence[str]], index: int) -> list[str]:
    return [_cell(row, index) for row in sample]


def _cell(row: Sequence[str], index: int) -> str:
    return row[index] if index < len(row) else ""
