"""A graded corpus, its grades, a record of a file, and the error for a file that cannot become a corpus."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

GRADES = ("低危", "中危", "高危", "超高危")

# `unknown_grade`: the user left out the records with this word; `other_file`: a file of an archive.
SKIP_REASONS = (
    *("rejected", "withdrawn", "empty_text", "ungraded", "unknown_grade", "duplicate", "conflicting"),
    "other_file",
)

# About 300,000 CVE records have been published in all; more than this limit only wastes time.
MAX_RECORDS = 2_000_000

# An error message quotes at most this many unknown grades, each cut to this length, to stay one sentence.
QUOTED_VALUES = 5
QUOTED_LENGTH = 30


class TextRecord(NamedTuple):
    """One record of a file: its text and grade name, "" if missing.

    `date` is the publication date and starts with the day; `skip_reason` is `"rejected"` or `"withdrawn"` for
    a record that its publisher took back.
    """

    text: str
    grade: str
    date: str = ""
    skip_reason: str = ""


class CorpusError(ValueError):
    """A file or an id cannot become a corpus; the message names the problem and the remedy in one
    sentence.

    `code` is a short fixed word (`"empty"`, `"one_class"`, …) and `details` holds the values of the sentence
    by name, so that a page can translate it.
    """

    def __init__(self, code: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


@dataclass(frozen=True)
class Corpus:
    """Texts with one grade each.

    `labels[i]` is the index in `GRADES` of `texts[i]`; `skipped` counts skipped records by reason, one of
    `SKIP_REASONS`; `generated` is true for the artificial sentences of `corpora.generator`; `dates` holds the
    day of each text, YYYY-MM-DD or "", or is empty. Raises ValueError if the numbers of texts, labels and
    dates differ or a label is not in 0…3.

    >>> Corpus("two", ("甲", "乙"), (0, 3), {}, False).counts()
    (1, 0, 0, 1)
    """

    name: str
    texts: tuple[str, ...]
    labels: tuple[int, ...]
    skipped: dict[str, int]
    generated: bool
    dates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.labels):
            raise ValueError(f"{len(self.texts)} texts have {len(self.labels)} labels; each text needs one.")
        if self.dates and len(self.dates) != len(self.texts):
            raise ValueError(
                f"{len(self.texts)} texts have {len(self.dates)} dates; each needs one, or none has."
            )
        wrong = set(self.labels) - set(range(len(GRADES)))
        if wrong:
            raise ValueError(
                f"labels must be 0…{len(GRADES) - 1}, got {sorted(wrong, key=repr)[:QUOTED_VALUES]}."
            )

    def counts(self) -> tuple[int, ...]:
        """Return the number of texts per grade, in the order of `GRADES`."""
        return tuple(self.labels.count(grade) for grade in range(len(GRADES)))


def check_count(count: int, limit: int) -> None:
    """Raise CorpusError `too_many_records` if a file holds more records or parts than any real export."""
    if count > limit:
        raise CorpusError(
            "too_many_records",
            f"The file has more than {limit:,} records or parts; use only a part of it.",
            limit=limit,
        )


def quote(values: Iterable[str]) -> list[str]:
    """Return the first few values, truncated, with unprintable characters replaced.

    >>> quote(["P1", "\\x00\\x01"])
    ['P1', '��']
    """
    first = list(values)[:QUOTED_VALUES]
    return [
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in v[:QUOTED_LENGTH])
        for v in first
    ]
