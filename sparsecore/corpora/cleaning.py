"""Reduce the records of a file to its usable texts; count skipped, duplicate and conflicting records."""

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
    TextRecord,
    check_count,
    quote,
)

# With fewer texts an 80/20 split leaves fewer than four test texts, and no accuracy is meaningful.
MIN_TEXTS = 20

# NVD's descriptions of a rejected CVE number start with these.
REJECTIONS = ("** REJECT", "Rejected reason:")

# Control characters, which JSON can encode but no text contains, and lone surrogates, which UTF-8 cannot
# encode.
UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff]")
CHINESE = re.compile("[\u3400-\u9fff]")
CONFLICT = -1
SAMPLE_FROM = 20  # number of first texts from which a few without conflict are shown as samples

# ISO 8601 with or without a time, and the forms of Chinese tables.
DAY = re.compile("([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})(?![0-9])")


class Cleaner:
    """Collect the usable records of a file, added one by one in order.

    White space in a text is collapsed to single spaces, so that an XML file and a table of the same texts are
    equal. A repeated text with one grade is kept once; with several grades every copy is dropped. Grade names
    are those of `GRADE_NAMES`, in any case. With `keep_texts` the texts are kept; without, only their lengths
    are, so that a file far larger than memory can be inspected.
    """

    def __init__(self, keep_texts: bool) -> None:
        self.texts: list[str] | None = [] if keep_texts else None
        self.dates: list[str] = []
        self.lengths = array("I")
        self.chinese = bytearray()
        self._first_texts: list[str] = []
        self._skip_counts = dict.fromkeys(SKIP_REASONS, 0)
        self._index_of: dict[str | bytes, int] = {}
        self._grades = array("b")
        self._copies = array("I")
        self._unknown: dict[str, None] = {}
        self._records = 0

    def add(self, record: TextRecord) -> None:
        """Add one record; raise CorpusError `too_many_records`."""
        self._records += 1
        check_count(self._records, MAX_RECORDS)
        text, grade = " ".join(UNPRINTABLE.sub(" ", record.text).split()), record.grade.strip().casefold()
        if reason := self._skip_reason(record, text, grade):
            self._skip_counts[reason] += 1
        else:
            self._add_text(text, GRADE_NAMES[grade], record.date)

    def _skip_reason(self, record: TextRecord, text: str, grade: str) -> str:
        if record.skip_reason:
            return record.skip_reason
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

    def _add_text(self, text: str, grade: int, date: str) -> None:
        key = text if self.texts is not None else blake2b(text.encode(), digest_size=16).digest()
        index = self._index_of.setdefault(key, len(self._grades))
        if index < len(self._grades):
            self._copies[index] += 1
            if self._grades[index] != grade:
                self._grades[index] = CONFLICT
            return
        self._grades.append(grade)
        self._copies.append(1)
        if len(self._first_texts) < SAMPLE_FROM:
            self._first_texts.append(text)
        self.lengths.append(len(text))
        self.chinese.append(CHINESE.search(text) is not None)
        if self.texts is not None:
            self.texts.append(text)
            self.dates.append(_day(date))

    @property
    def usable(self) -> list[int]:
        """Indices of the usable texts, in order of appearance."""
        return [index for index, grade in enumerate(self._grades) if grade != CONFLICT]

    def samples(self, count: int) -> list[tuple[str, int]]:
        """Return at most `count` of the first usable texts, each with the index of its grade."""
        graded = zip(self._first_texts, self._grades[: len(self._first_texts)], strict=True)
        return [(text, grade) for text, grade in graded if grade != CONFLICT][:count]

    @property
    def skipped(self) -> dict[str, int]:
        """Number of skipped records by reason; only reasons that occurred."""
        counts = dict(self._skip_counts)
        for grade, copies in zip(self._grades, self._copies, strict=True):
            if grade == CONFLICT:
                counts["conflicting"] += copies
            else:
                counts["duplicate"] += copies - 1
        return {reason: count for reason, count in counts.items() if count}

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of usable texts per grade, in the order of `GRADES`."""
        return tuple(self._grades.count(grade) for grade in range(len(GRADES)))

    def corpus(self, name: str, least: int = MIN_TEXTS) -> Corpus:
        """Return the kept texts as a corpus of this name; raise CorpusError as `check_usable` does."""
        self.check_usable(least)
        usable = self.usable
        dates = tuple(self.dates[index] for index in usable)
        texts, labels = tuple(self.texts[p] for p in usable), tuple(self._grades[p] for p in usable)
        return Corpus(name, texts, labels, self.skipped, False, dates if any(dates) else ())

    def check_usable(self, least: int) -> None:
        """Raise CorpusError `unknown_grades`, `too_few` or, with at least `MIN_TEXTS` texts, `one_class`."""
        counts, skipped = self.counts, self.skipped
        if self._unknown and not self._grades:
            found = quote(self._unknown)
            raise CorpusError(
                "unknown_grades",
                f"No grade in the file was recognised (found {', '.join(found)}); "
                f"use {', '.join(GRADE_NAMES)}.",
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
        if usable >= MIN_TEXTS and max(counts) == usable:
            grade = GRADES[counts.index(usable)]
            raise CorpusError(
                "one_class",
                f"All {usable} usable records have the grade {grade}; at least two grades are needed.",
                grade=grade,
                usable=usable,
            )


def _day(date: str) -> str:
    found = DAY.match(date.strip())
    return f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}" if found else ""


def clean(records: Iterable[TextRecord | tuple[str, str]], name: str) -> Corpus:
    """Build a corpus from records, or (text, grade name) pairs, in order; see `Cleaner`.

    >>> records = [(f"第{i}条", "高" if i % 2 else "LOW") for i in range(20)]
    >>> corpus = clean([*records, ("第0条", "低危")], "twenty")
    >>> corpus.counts(), corpus.skipped
    ((10, 0, 10, 0), {'duplicate': 1})
    """
    cleaner = Cleaner(keep_texts=True)
    for record in records:
        cleaner.add(TextRecord(*record))
    return cleaner.corpus(name)
