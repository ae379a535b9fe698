"""A graded corpus, its grades, and the one error for a file that cannot become one."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

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

SKIP_REASONS = ("empty_text", "ungraded", "unknown_grade", "duplicate", "conflicting")

# Below this an 80/20 split leaves fewer than four texts to test on: no accuracy means anything.
MIN_RECORDS = 20

# How many of the unknown grades a message quotes, and how long each may be: a sentence, not a listing.
QUOTED_VALUES = 5
QUOTED_LENGTH = 30


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
    of `SKIP_REASONS`; `generated` is true for sentences of `corpora.generator`, about nothing real. Raises
    ValueError when the numbers of texts and labels differ or a label is not in 0…3.

    >>> Corpus("two", ("甲", "乙"), (0, 3), {}, False).counts()
    (1, 0, 0, 1)
    """

    name: str
    texts: tuple[str, ...]
    labels: tuple[int, ...]
    skipped: dict[str, int]
    generated: bool

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.labels):
            raise ValueError(f"{len(self.texts)} texts have {len(self.labels)} labels; each text needs one.")
        wrong = set(self.labels) - set(range(len(GRADES)))
        if wrong:
            raise ValueError(
                f"labels must be 0…{len(GRADES) - 1}, got {sorted(wrong, key=repr)[:QUOTED_VALUES]}."
            )

    def counts(self) -> tuple[int, ...]:
        """How many texts each grade has, in the order of `GRADES`."""
        return tuple(self.labels.count(grade) for grade in range(len(GRADES)))


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


def gather(records: Iterable[tuple[str, str]], name: str) -> Corpus:
    """A corpus from (text, grade name) pairs, in their order, without those that teach nothing or contradict.

    White space in a text is folded to single blanks, so that an XML and a table of the same texts are equal.
    A repeated text with one grade is kept once; with several grades every copy is dropped. Grade names are
    those of `GRADE_NAMES`, in any case. Raises CorpusError `unknown_grades`, `too_few` or `one_class`.

    >>> records = [(f"第{i}条", "高" if i % 2 else "LOW") for i in range(20)]
    >>> corpus = gather([*records, ("第0条", "低危")], "twenty")
    >>> corpus.counts(), corpus.skipped
    ((10, 0, 10, 0), {'duplicate': 1})
    """
    skipped = dict.fromkeys(SKIP_REASONS, 0)
    grades_of: dict[str, list[int]] = {}
    unknown: dict[str, None] = {}
    for raw_text, raw_grade in records:
        text, grade = " ".join(raw_text.split()), raw_grade.strip()
        if not text:
            skipped["empty_text"] += 1
        elif not grade:
            skipped["ungraded"] += 1
        elif grade.casefold() not in GRADE_NAMES:
            skipped["unknown_grade"] += 1
            if len(unknown) < QUOTED_VALUES:
                unknown[grade] = None
        else:
            grades_of.setdefault(text, []).append(GRADE_NAMES[grade.casefold()])
    kept = {}
    for text, grades in grades_of.items():
        if len(set(grades)) > 1:
            skipped["conflicting"] += len(grades)
        else:
            skipped["duplicate"] += len(grades) - 1
            kept[text] = grades[0]
    skipped = {reason: count for reason, count in skipped.items() if count}
    if unknown and not grades_of:
        raise _unknown_grades(quote(unknown))
    _require_enough(kept, skipped)
    return Corpus(name, tuple(kept), tuple(kept.values()), skipped, generated=False)


def _unknown_grades(found: list[str]) -> CorpusError:
    return CorpusError(
        "unknown_grades",
        f"None of the grades in the file is known (found {', '.join(found)}); "
        f"grades are written {', '.join(GRADE_NAMES)}.",
        found=found,
        accepted=list(GRADE_NAMES),
    )


def _require_enough(kept: dict[str, int], skipped: dict[str, int]) -> None:
    if len(kept) < MIN_RECORDS:
        why = ", ".join(f"{count} {reason}" for reason, count in skipped.items()) or "none"
        raise CorpusError(
            "too_few",
            f"The file has {len(kept)} usable records (skipped: {why}); at least {MIN_RECORDS} are needed.",
            usable=len(kept),
            needed=MIN_RECORDS,
            skipped=skipped,
        )
    classes = set(kept.values())
    if len(classes) == 1:
        grade = GRADES[classes.pop()]
        raise CorpusError(
            "one_class",
            f"All {len(kept)} usable records are graded {grade}; at least two different grades are needed.",
            grade=grade,
            usable=len(kept),
        )
