"""Reduce the records of a file to its usable texts; count skipped, duplicate and conflicting records."""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import blake2b

from sparsecore.corpora.corpus import (
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
from sparsecore.corpora.grades import (
    GRADE_NAMES,
    IMPORTANT,
    IMPORTANT_GRADE,
    IMPORTANT_NEEDS,
    LEAVE_OUT,
    UNGRADED_WORDS,
    Vocabulary,
    fold,
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
SCALE_GRADES = (GRADE_NAMES[IMPORTANT_NEEDS], IMPORTANT_GRADE)
MAX_UNKNOWN = 50  # distinct unknown grades counted by name; a column with more holds no grades
OTHERS = "…"  # the rest of them
SAMPLE_FROM = 20  # number of first texts from which a few without conflict are shown as samples

# ISO 8601 with or without a time, and the forms of Chinese tables.
DAY = re.compile("([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})(?![0-9])")


class Cleaner:
    """Collect the usable records of a file, added one by one in order.

    White space in a text is collapsed to single spaces, so that an XML file and a table of the same texts are
    equal. A repeated text with one grade is kept once; with several grades every copy is dropped. `mapping`
    is that of `Vocabulary`; a grade that it does not know makes the file unusable until it is mapped. With
    `keep_texts` the texts are kept; without, only their lengths are, so that a file far larger than memory
    can be inspected.
    """

    def __init__(self, keep_texts: bool, mapping: Mapping[str, str] | None = None) -> None:
        self.texts: list[str] | None = [] if keep_texts else None
        self.dates: list[str] = []
        self.lengths = array("I")
        self.chinese = bytearray()
        self._first_texts: list[str] = []
        self._skip_counts = dict.fromkeys(SKIP_REASONS, 0)
        self._index_of: dict[str | bytes, int] = {}
        self._grades = array("b")
        self._copies = array("I")
        self._vocabulary = Vocabulary(mapping)
        self._unknown: Counter[str] = Counter()  # records by unknown word
        # Medium and high records by word: "important" (unless mapped), "moderate", and "" for others.
        self._scale: Counter[str] = Counter()
        self._records = 0

    def add(self, record: TextRecord) -> None:
        """Add one record; raise CorpusError `too_many_records`."""
        self._records += 1
        check_count(self._records, MAX_RECORDS)
        text, word = " ".join(UNPRINTABLE.sub(" ", record.text).split()), fold(record.grade)
        grade = self._vocabulary.grade(word)
        if pending := grade is None and word == IMPORTANT:
            grade = IMPORTANT_GRADE
        if reason := _skip_reason(record, text, word, grade):
            self.skip(reason)
        elif grade is None:
            known = len(self._unknown) < MAX_UNKNOWN or word in self._unknown
            self._unknown[word if known else OTHERS] += 1
        else:
            if grade in SCALE_GRADES:
                self._scale[word if pending or word == IMPORTANT_NEEDS else ""] += 1
            self._add_text(text, grade, record.date)

    def skip(self, reason: str) -> None:
        """Count one record, or file of an archive, that was left out."""
        self._skip_counts[reason] += 1

    @property
    def unknown(self) -> dict[str, int]:
        """Number of records by grade word that is neither known nor mapped, the most frequent first."""
        found = Counter(self._unknown)
        if self._scale[IMPORTANT] and (self._scale[""] or not self._scale[IMPORTANT_NEEDS]):
            found[IMPORTANT] = self._scale[IMPORTANT]
        return dict(found.most_common())

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
        if unknown := self.unknown:
            found = [
                f"{quote([word])[0]} × {count:,}" for word, count in list(unknown.items())[:QUOTED_VALUES]
            ]
            more = ", …" if len(unknown) > QUOTED_VALUES else ""
            raise CorpusError(
                "unknown_grades",
                f"The file has grades of unknown meaning ({', '.join(found)}{more}); map each "
                "one, as in --grade important=high (none leaves its records out), or name the scale "
                "of numbers, as in --scale 4-1.",
                found=found,
                accepted=list(GRADE_NAMES),
                unknown=unknown,
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


def _skip_reason(record: TextRecord, text: str, word: str, grade: int | str | None) -> str:
    if record.skip_reason:
        return record.skip_reason
    if text.startswith(REJECTIONS):
        return "rejected"
    if not text:
        return "empty_text"
    if grade is None and word in UNGRADED_WORDS:
        return "ungraded"
    return "unknown_grade" if grade == LEAVE_OUT else ""


def _day(date: str) -> str:
    found = DAY.match(date.strip())
    return f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}" if found else ""


def clean(
    records: Iterable[TextRecord | tuple[str, str]], name: str, mapping: Mapping[str, str] | None = None
) -> Corpus:
    """Build a corpus from records, or (text, grade name) pairs, in order; see `Cleaner`.

    >>> records = [(f"第{i}条", "高" if i % 2 else "LOW") for i in range(20)]
    >>> corpus = clean([*records, ("第0条", "低危")], "twenty")
    >>> corpus.counts(), corpus.skipped
    ((10, 0, 10, 0), {'duplicate': 1})
    """
    cleaner = Cleaner(keep_texts=True, mapping=mapping)
    for record in records:
        cleaner.add(TextRecord(*record))
    return cleaner.corpus(name)
