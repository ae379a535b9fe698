"""A graded corpus, its grades, a file's record, and the one error for a file that cannot become a corpus."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

GRADES = ("低危", "中危", "高危", "超高危")

# One table for every source. CNNVD's 超危, older 危急 and 严重, and CVSS's critical are one class.
# A bare digit is an index in GRADES, as in a table that this project wrote itself.
GRADE_NAMES = MappingProxyType(
    {
        **dict.fromkeys(("低危", "低", "low", "0"), 0),
        **dict.fromkeys(("中危", "中", "medium", "moderate", "1"), 1),
        **dict.fromkeys(("高危", "高", "high", "2"), 2),
        **dict.fromkeys(("超高危", "超危", "危急", "严重", "critical", "3"), 3),
    }
)

SKIP_REASONS = (
    *("rejected", "withdrawn", "empty_text", "ungraded", "unknown_grade", "duplicate", "conflicting"),
)

# All CVE records ever published are some 300,000. What is more than this only takes time.
MAX_RECORDS = 2_000_000

# How many of the unknown grades a message quotes, and how long each may be: a sentence, not a listing.
QUOTED_VALUES = 5
QUOTED_LENGTH = 30


class Record(NamedTuple):
    """One record of a file: its text and the name of its grade, "" for what it lacks.

    `date` is when it was published, in a way that begins with the day; `left_out` is `"rejected"` or
    `"withdrawn"` for a record that its publisher took back.
    """

    text: str
    grade: str
    date: str = ""
    left_out: str = ""


class CorpusError(ValueError):
    """A file or an id cannot become a corpus; the message is one sentence on what is wrong and what is right.

    `code` is a short fixed word (`"empty"`, `"one_class"`, …) and `details` the values in the sentence by
    name, so that a page can say the same in another language.
    """

    def __init__(self, code: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


@dataclass(frozen=True)
class Corpus:
    """Texts with a grade each.

    `labels[i]` is the index in `GRADES` of `texts[i]`; `skipped` counts the records left out by reason, one
    of `SKIP_REASONS`; `generated` is true for sentences of `corpora.generator`, about nothing real; `dates`
    holds the day of each text, YYYY-MM-DD or "", or nothing at all. Raises ValueError when the numbers of
    texts, labels and dates differ or a label is not in 0…3.

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
        """How many texts each grade has, in the order of `GRADES`."""
        return tuple(self.labels.count(grade) for grade in range(len(GRADES)))


def require_no_more(count: int, limit: int) -> None:
    """Raise CorpusError `too_many_records` once a file has given more of something than any export holds."""
    if count > limit:
        raise CorpusError(
            "too_many_records",
            f"The file has more than {limit:,} records or parts; send a part of it.",
            limit=limit,
        )


def quote(values: Iterable[str]) -> list[str]:
    """The first few of some values found in a file, each cut short and with unprintable characters replaced.

    >>> quote(["P1", "\\x00\\x01"])
    ['P1', '��']
    """
    first = list(values)[:QUOTED_VALUES]
    return [
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in v[:QUOTED_LENGTH])
        for v in first
    ]
