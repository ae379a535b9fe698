"""From the records of a file to its usable texts: what teaches nothing or contradicts itself is counted."""

import re
from array import array
from collections.abc import Iterable
from hashlib import blake2b

from sparsecore.corpora.corpus import (
    GRADE_NAMES,
    GRADES,
    MAX_RECORDS,
    QUOTED_VALUES,
    SKIP_REASONS,
    Corpus,
    CorpusError,
    Record,
    quote,
    require_no_more,
)

# Below this an 80/20 split leaves fewer than four texts to test on: no accuracy means anything.
MIN_RECORDS = 20

# NVD writes these in place of the description of a number that it took back.
REJECTIONS = ("** REJECT", "Rejected reason:")

# No text holds them, but a JSON file can spell them; half a surrogate pair can not be written as UTF-8.
UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff]")
CHINESE = re.compile("[\u3400-\u9fff]")
CONFLICT = -1
SAMPLE_FROM = 20  # the first texts, of which a few without a conflict are shown before a file is kept

# ISO 8601 with or without a time, and as Chinese tables write it.
DAY = re.compile("([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})(?![0-9])")


class Sieve:
    """The usable records of a file, taken one by one in order.

    White space in a text is folded to single blanks, so that an XML and a table of the same texts are equal.
    A repeated text with one grade is kept once; with several grades every copy is dropped. Grade names are
    those of `GRADE_NAMES`, in any case. With `hold` the texts are kept; without it only their sizes are, so
    that a file far larger than memory can be looked at.
    """

    def __init__(self, hold: bool) -> None:
        self.texts: list[str] | None = [] if hold else None
        self.dates: list[str] = []
        self.lengths = array("I")
        self.chinese = bytearray()
        self._first: list[str] = []
        self._left_out = dict.fromkeys(SKIP_REASONS, 0)
        self._places: dict[str | bytes, int] = {}
        self._grades = array("b")
        self._copies = array("I")
        self._unknown: dict[str, None] = {}
        self._records = 0

    def take(self, record: Record) -> None:
        """Sort one record in; raises CorpusError `too_many_records`."""
        self._records += 1
        require_no_more(self._records, MAX_RECORDS)
        text, grade = " ".join(UNPRINTABLE.sub(" ", record.text).split()), record.grade.strip().casefold()
        if reason := self._reason(record, text, grade):
            self._left_out[reason] += 1
        else:
            self._keep(text, GRADE_NAMES[grade], record.date)

    def _reason(self, record: Record, text: str, grade: str) -> str:
        if record.left_out:
            return record.left_out
        if text.startswith(REJECTIONS):
            return "rejected"
        if not text:
            return "empty_text"
        if not grade:
            return "ungraded"
        if grade in GRADE_NAMES:
            return ""
        if len(self._unknown) < QUOTED_VALUES:
            self._unknown[record.grade.strip()] = None
        return "unknown_grade"

    def _keep(self, text: str, grade: int, date: str) -> None:
        key = text if self.texts is not None else blake2b(text.encode(), digest_size=16).digest()
        place = self._places.setdefault(key, len(self._grades))
        if place < len(self._grades):
            self._copies[place] += 1
            if self._grades[place] != grade:
                self._grades[place] = CONFLICT
            return
        self._grades.append(grade)
        self._copies.append(1)
        if len(self._first) < SAMPLE_FROM:
            self._first.append(text)
        self.lengths.append(len(text))
        self.chinese.append(CHINESE.search(text) is not None)
        if self.texts is not None:
            self.texts.append(text)
            self.dates.append(_day(date))

    @property
    def usable(self) -> list[int]:
        """The places of the texts that are left, in the order they came."""
        return [place for place, grade in enumerate(self._grades) if grade != CONFLICT]

    def samples(self, count: int) -> list[tuple[str, int]]:
        """The first usable texts and the index of their grade, at most `count`, also where none are held."""
        graded = zip(self._first, self._grades[: len(self._first)], strict=True)
        return [(text, grade) for text, grade in graded if grade != CONFLICT][:count]

    @property
    def skipped(self) -> dict[str, int]:
        """How many records were left out, by reason; only reasons that occurred."""
        counts = dict(self._left_out)
        for grade, copies in zip(self._grades, self._copies, strict=True):
            if grade == CONFLICT:
                counts["conflicting"] += copies
            else:
                counts["duplicate"] += copies - 1
        return {reason: count for reason, count in counts.items() if count}

    @property
    def counts(self) -> tuple[int, ...]:
        """How many texts are left of each grade, in the order of `GRADES`."""
        return tuple(self._grades.count(grade) for grade in range(len(GRADES)))

    def corpus(self, name: str, least: int = MIN_RECORDS) -> Corpus:
        """What was held, under this name; raises CorpusError as `require` does."""
        self.require(least)
        usable = self.usable
        dates = tuple(self.dates[place] for place in usable)
        texts, labels = tuple(self.texts[p] for p in usable), tuple(self._grades[p] for p in usable)
        return Corpus(name, texts, labels, self.skipped, False, dates if any(dates) else ())

    def require(self, least: int) -> None:
        """Raise CorpusError `unknown_grades`, `too_few` or, from `MIN_RECORDS` texts on, `one_class`."""
        counts, skipped = self.counts, self.skipped
        if self._unknown and not self._grades:
            found = quote(self._unknown)
            raise CorpusError(
                "unknown_grades",
                f"None of the grades in the file is known (found {', '.join(found)}); "
                f"grades are written {', '.join(GRADE_NAMES)}.",
                found=found,
                accepted=list(GRADE_NAMES),
            )
        usable = sum(counts)
        if usable < least:
            why = ", ".join(f"{count} {reason}" for reason, count in skipped.items()) or "none"
            needed = f"at least {least} are needed" if least > 1 else "at least one is needed"
            raise CorpusError(
                "too_few",
                f"The file has {usable} usable records (skipped: {why}); {needed}.",
                usable=usable,
                needed=least,
                skipped=skipped,
            )
        if usable >= MIN_RECORDS and max(counts) == usable:
            grade = GRADES[counts.index(usable)]
            raise CorpusError(
                "one_class",
                f"All {usable} usable records are graded {grade}; at least two different grades are needed.",
                grade=grade,
                usable=usable,
            )


def _day(date: str) -> str:
    found = DAY.match(date.strip())
    return f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}" if found else ""


def gather(records: Iterable[Record | tuple[str, str]], name: str) -> Corpus:
    """A corpus from records, or (text, grade name) pairs, in their order; see `Sieve`.

    Raises CorpusError `unknown_grades`, `too_few`, `one_class` or `too_many_records`.

    >>> records = [(f"第{i}条", "高" if i % 2 else "LOW") for i in range(20)]
    >>> corpus = gather([*records, ("第0条", "低危")], "twenty")
    >>> corpus.counts(), corpus.skipped
    ((10, 0, 10, 0), {'duplicate': 1})
    """
    sieve = Sieve(hold=True)
    for record in records:
        sieve.take(Record(*record))
    return sieve.corpus(name)
