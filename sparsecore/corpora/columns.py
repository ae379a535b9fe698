"""Find the text and grade columns of a table."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from sparsecore.corpora.corpus import GRADES, CorpusError, TextRecord, quote
from sparsecore.corpora.grades import UNGRADED_WORDS, VOCABULARY, Vocabulary, fold
from sparsecore.corpora.source import ReadContext

TEXT_NAMES, GRADE_COLUMN_NAMES, DATE_NAMES = VOCABULARY["columns"].values()
BRACKETS = re.compile(r"[(（\[【].*?[)）\]】]")
SEPARATORS = re.compile(r"[\s_-]+")

# CNNVD's hazardLevel runs from 1, the most severe, so it is GRADES in reverse.
HAZARD_COLUMN = "hazardlevel"
HAZARD_GRADES = {str(level): grade for level, grade in enumerate(reversed(GRADES), start=1)}

# Columns whose "high" and "low" grade something else than the vulnerability.
OTHER_SCALES = re.compile(
    "complex|confid|likel|probab|impact|integrity|availab|privil|exploit|priority|urgency|interact"
    "|可能性|复杂|影响|优先|置信|机密|完整|可用"
)

# Limits on the column names offered to the user: real tables have a few dozen columns with short names.
MAX_NAMES, MAX_NAME_LENGTH = 100, 100

# How much of a table is sampled if no column name is known.
SAMPLE_ROWS = 200
SAMPLE_CHARACTERS = 2**20
GRADED_SHARE = 0.8  # share of known grades in a column of unknown name; the rest may be misspelt
NAMED_SHARE = 0.5  # the same in a column with a known name; the user is asked about the rest
MAX_WORDS = 20  # distinct values in a grade column whose values are no known grades
MAX_WORD_LENGTH = 24
MIN_TEXT_LENGTH = 12  # mean characters per cell; shorter cells are names, dates or numbers


@dataclass(frozen=True)
class Columns:
    """Column indices in a row; `date` is None if the table has no known date column.

    hazard: whether the grades are CNNVD's hazardLevel.
    """

    text: int
    label: int
    date: int | None
    hazard: bool

    def record(self, row: Sequence[str]) -> TextRecord:
        """Return the record of a row; a missing cell becomes ""."""
        date = "" if self.date is None else _cell(row, self.date)
        label = _cell(row, self.label)
        if self.hazard:
            label = HAZARD_GRADES.get(label.strip(), label)
        return TextRecord(_cell(row, self.text), label, date)


def table_records(
    names: Sequence[str], rows: Iterator[Sequence[str]], context: ReadContext, form: str
) -> Iterator[TextRecord]:
    """Yield one record per row of a table in the format `form`; errors are those of `choose_columns`."""
    sample: list[Sequence[str]] = []
    size = 0
    for row in rows:
        sample.append(row)
        size += sum(map(len, row))
        if len(sample) == SAMPLE_ROWS or size > SAMPLE_CHARACTERS:
            break
    columns = choose_columns(names, sample, context)
    context.columns = shown_names(names)
    context.add_format(form)
    for row in chain(sample, rows):
        if any(row):
            yield columns.record(row)


def choose_columns(names: Sequence[str], sample: Sequence[Sequence[str]], context: ReadContext) -> Columns:
    """Choose the columns named by the user, else those with known names, else by their content.

    Raises CorpusError `no_text_column` or `no_label_column`; `details["columns"]` lists the columns to choose
    from.
    """
    vocabulary = Vocabulary(context.grades)
    text = column_index(names, context.text_column, TEXT_NAMES)
    if context.label_column is None:
        label = _grade_column(names, sample, text, vocabulary)
    else:
        label = column_index(names, context.label_column, GRADE_COLUMN_NAMES)
    if text is None and context.text_column is None:
        text = _text_column(names, sample, label)
    if text is None or text == label:
        raise _missing_column("text", names, context.text_column, TEXT_NAMES)
    if label is None:
        raise _missing_column("label", names, context.label_column, GRADE_COLUMN_NAMES)
    hazard = fold_name(names[label]) == HAZARD_COLUMN
    return Columns(text, label, column_index(names, None, DATE_NAMES), hazard)


def have_known_names(names: Sequence[str], context: ReadContext) -> bool:
    """Return whether both columns are among these, named by the user or with known names."""
    text = column_index(names, context.text_column, TEXT_NAMES)
    label = column_index(names, context.label_column, GRADE_COLUMN_NAMES)
    return text is not None and label is not None and text != label


def column_index(names: Sequence[str], given: str | None, known: Sequence[str]) -> int | None:
    """Return the index of the column named `given`, or of the first known name if `given` is None."""
    found = column_indices(names, known) if given is None else _named(names, given)
    return next(iter(found), None)


def column_indices(names: Sequence[str], known: Sequence[str]) -> list[int]:
    """Return the indices of the columns with known names, in the order of `known`."""
    folded = [fold_name(name) for name in names]
    return [folded.index(name) for name in known if name in folded]


def _named(names: Sequence[str], given: str) -> list[int]:
    wanted = " ".join(given.split()).casefold()
    return [index for index, name in enumerate(names) if " ".join(name.split()).casefold() == wanted]


def fold_name(name: str) -> str:
    """Return a column name as it is compared.

    >>> fold_name("危害\\n等级 (2024)"), fold_name("Risk_Level")
    ('危害等级', 'risklevel')
    """
    return SEPARATORS.sub("", BRACKETS.sub("", fold(name)))


def _grade_column(
    names: Sequence[str], sample: Sequence[Sequence[str]], text: int | None, vocabulary: Vocabulary
) -> int | None:
    """Return the column of grades: by name and values, else by values alone, else by name.

    Values that are no known grades, such as numbers, are never given a meaning here: the user is asked.
    """
    named = [index for index in column_indices(names, GRADE_COLUMN_NAMES) if index != text]
    for index in named:
        hazard = fold_name(names[index]) == HAZARD_COLUMN
        if hazard or not sample or _graded_share(_cells(sample, index), vocabulary) >= NAMED_SHARE:
            return index
    for index in named:
        if _are_few_words(_cells(sample, index)):
            return index
    found = [
        index
        for index, name in enumerate(names)
        if index != text
        and not OTHER_SCALES.search(fold_name(name))
        and _graded_share(_cells(sample, index), vocabulary) >= GRADED_SHARE
        and len({fold(cell) for cell in _cells(sample, index)} - UNGRADED_WORDS) > 1
    ]
    return found[0] if len(found) == 1 else None


def _graded_share(cells: Iterable[str], vocabulary: Vocabulary) -> float:
    """Return the share of known grades among the values; 0 if none of them is more than "no grade"."""
    values = [cell for cell in cells if cell.strip()]
    if not any(fold(value) not in UNGRADED_WORDS for value in values):
        return 0.0
    return sum(value in vocabulary for value in values) / len(values)


def _are_few_words(cells: Iterable[str]) -> bool:
    values = {fold(cell) for cell in cells if cell.strip()}
    return 0 < len(values) <= MAX_WORDS and all(len(value) <= MAX_WORD_LENGTH for value in values)


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
        columns=shown_names(names),
    )


def shown_names(names: Sequence[str]) -> list[str]:
    """Return the column names that the user can choose from."""
    return [name[:MAX_NAME_LENGTH] for name in names[:MAX_NAMES] if name.strip()]


def _cells(sample: Sequence[Sequence[str]], index: int) -> list[str]:
    return [_cell(row, index) for row in sample]


def _cell(row: Sequence[str], index: int) -> str:
    return row[index] if index < len(row) else ""
