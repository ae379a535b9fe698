"""Which column of a table holds the texts and which the grades."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from sparsecore.corpora.corpus import GRADE_NAMES, CorpusError, Record, quote
from sparsecore.corpora.intake import Intake

# Most telling name first: of several that match, the first here is taken.
TEXT_NAMES = (
    *("text", "description", "漏洞描述", "描述", "content", "文本", "内容", "漏洞简介", "简介", "details"),
    *("vuldesc", "summary", "漏洞详情", "摘要"),
)
GRADE_COLUMN_NAMES = (
    *("label", "severity", "serverity", "grade", "危害等级", "风险等级", "漏洞等级", "等级"),
    *("危害级别", "漏洞级别", "级别", "严重程度", "严重性", "baseseverity", "level", "标签"),
)
DATE_NAMES = ("date", "published", "发布日期", "公开日期", "发布时间", "公开时间", "日期", "publisheddate")

# What a person is given to pick from: a table has some tens of columns at most, and their names are words.
MOST_NAMES, LONGEST_NAME = 100, 100

# How much of a table is looked at where the names tell nothing.
SAMPLE_ROWS = 200
SAMPLE_CHARACTERS = 2**20
GRADED_SHARE = 0.8  # of the cells of a column of grades; the others are odd or misspelt
LEAST_TEXT = 12  # characters on average: shorter cells are names, dates or numbers


@dataclass(frozen=True)
class Columns:
    """The places of the columns in a row; `date` is None where no column is known to hold it."""

    text: int
    label: int
    date: int | None

    def record(self, row: Sequence[str]) -> Record:
        """The record of a row, "" for a cell that it lacks."""
        date = "" if self.date is None else _cell(row, self.date)
        return Record(_cell(row, self.text), _cell(row, self.label), date)


def records(names: Sequence[str], rows: Iterator[Sequence[str]], intake: Intake) -> Iterator[Record]:
    """The records of a table's rows; raises CorpusError as `choose` does."""
    sample: list[Sequence[str]] = []
    size = 0
    for row in rows:
        sample.append(row)
        size += sum(map(len, row))
        if len(sample) == SAMPLE_ROWS or size > SAMPLE_CHARACTERS:
            break
    columns = choose(names, sample, intake)
    for row in chain(sample, rows):
        if any(row):
            yield columns.record(row)


def choose(names: Sequence[str], sample: Sequence[Sequence[str]], intake: Intake) -> Columns:
    """The columns a person named, else those of known names, else those whose content tells.

    Raises CorpusError `no_text_column` or `no_label_column`; `details["columns"]` are those to pick from.
    """
    label = named(names, intake.label_column, GRADE_COLUMN_NAMES)
    text = named(names, intake.text_column, TEXT_NAMES)
    if label is None and intake.label_column is None:
        label = _by_content(names, sample, text)
    if text is None and intake.text_column is None:
        text = _longest(names, sample, label)
    if text is None or text == label:
        raise _missing("text", names, intake.text_column, TEXT_NAMES)
    if label is None:
        raise _missing("label", names, intake.label_column, GRADE_COLUMN_NAMES)
    return Columns(text, label, named(names, None, DATE_NAMES))


def named(names: Sequence[str], given: str | None, known: Sequence[str]) -> int | None:
    """The place of the column with the given name, or else with the first of the known ones."""
    folded = [name.strip().casefold() for name in names]
    wanted = known if given is None else (given.strip().casefold(),)
    return next((folded.index(name) for name in wanted if name in folded), None)


def _by_content(names: Sequence[str], sample: Sequence[Sequence[str]], text: int | None) -> int | None:
    """The only column that holds grades; bare digits count where no column has words."""
    places = [place for place in range(len(names)) if place != text]
    for words in (True, False):
        found = [place for place in places if _graded(_cells(sample, place), words)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _graded(cells: Iterable[str], words: bool) -> bool:
    values = [cell.strip().casefold() for cell in cells if cell.strip()]
    known = [value for value in values if value in GRADE_NAMES and not (words and value.isdecimal())]
    return len(set(known)) > 1 and len(known) >= GRADED_SHARE * len(values)


def _longest(names: Sequence[str], sample: Sequence[Sequence[str]], label: int | None) -> int | None:
    """The column with the longest cells; none where all are short."""
    places = [place for place in range(len(names)) if place != label]
    means = {place: sum(map(len, _cells(sample, place))) / max(len(sample), 1) for place in places}
    best = max(means, key=means.get, default=None)
    return best if best is not None and means[best] >= LEAST_TEXT else None


def _missing(what: str, names: Sequence[str], given: str | None, known: Sequence[str]) -> CorpusError:
    found = quote(names)
    asked, ways = f"{what} column", f"say which it is, or name it one of {', '.join(known)}"
    if given is not None:
        asked, ways = f"column {quote([given])[0]!r} for the {what}s", "choose one that it has"
    return CorpusError(
        f"no_{what}_column",
        f"The table has no {asked} (its first columns are: {', '.join(found)}); {ways}.",
        found=found,
        accepted=list(known),
        columns=[name[:LONGEST_NAME] for name in names[:MOST_NAMES]],
    )


def _cells(sample: Sequence[Sequence[str]], place: int) -> list[str]:
    return [_cell(row, place) for row in sample]


def _cell(row: Sequence[str], place: int) -> str:
    return row[place] if place < len(row) else ""
