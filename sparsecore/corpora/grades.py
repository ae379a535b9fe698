"""Grades as publishers write them: words, numbers on a scale that the user names, and the user's mapping."""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from sparsecore.corpora.corpus import GRADES, CorpusError, quote

VOCABULARY = tomllib.loads(Path(__file__).with_name("vocabulary.toml").read_text(encoding="utf-8"))
GRADE_NAMES = {word: place for place, grade in enumerate(GRADES) for word in VOCABULARY["grades"][grade]}
UNGRADED_WORDS = frozenset(VOCABULARY["grades"]["none"])
# "important" is high on the scale of Red Hat and Microsoft (low, moderate, important, critical), and anything
# on others: it is known only in a file that says moderate and neither medium nor high.
IMPORTANT, IMPORTANT_GRADE, IMPORTANT_NEEDS = "important", 2, "moderate"

LEAVE_OUT = "none"  # as the target of a mapping
NOTHING_ADDED = frozenset(("severity", "risk", "cvss"))  # "high severity" is high
VECTOR = re.compile(r"(?:cvss:[0-9.]+/)?\(?a[vc]:[a-z]\b[a-z:/]*")
SCORE = re.compile(r"(?<![\w.])[0-9]{1,2}(?:\.[0-9]+)?(?![\w.])")
DOUBT = re.compile("[?!~^<>≤≥≠]")  # "high?" and "<high" are no grades
WORD = re.compile(r"[^\W_]+")
SCALE = re.compile(r"([a-z]*)([0-9]{1,2})-([a-z]*)([0-9]{1,2})")
MAX_CACHED = 4096
MAX_WORD = 200  # characters of a grade that are looked at; a longer cell is no grade


@lru_cache(MAX_CACHED)
def fold(word: str) -> str:
    """Return a word in half width and lower case, without white space around it.

    >>> fold(" ＨＩＧＨ ")
    'high'
    """
    return unicodedata.normalize("NFKC", word[:MAX_WORD]).strip().casefold()


@lru_cache(MAX_CACHED)
def grade_of_word(word: str) -> int | None:
    """Return the index in `GRADES` of a folded grade, None if it is not known beyond doubt.

    A score, a CVSS vector or the same grade in another language may stand with it.

    >>> [grade_of_word(word) for word in ("高危/high", "low (3.1)", "medium-high", "2", "p1")]
    [2, 0, None, None, None]
    """
    if word in GRADE_NAMES:
        return GRADE_NAMES[word]
    if DOUBT.search(word):
        return None
    parts = set(WORD.findall(SCORE.sub(" ", VECTOR.sub(" ", word)))) - NOTHING_ADDED
    grades = {GRADE_NAMES.get(part) for part in parts}
    return grades.pop() if len(grades) == 1 else None


def read_mapping(pairs: Iterable[str], scale: str | None = None) -> dict[str, str]:
    """Return the mapping of `WORD=GRADE` pairs, on top of a scale such as 0-3 or P4-P1, low to critical.

    GRADE is a known word, or `none` to leave the records out. Raises CorpusError `bad_grade`.

    >>> read_mapping(["important=high", "0=none"], scale="4-1")
    {'4': '低危', '3': '中危', '2': '高危', '1': '超高危', 'important': '高危', '0': 'none'}
    """
    mapping = {} if scale is None else _scale(scale)
    for pair in pairs:
        word, _, grade = pair.rpartition("=")
        mapping[fold(word)] = _target(grade, pair) if fold(word) else _target("", pair)
    return mapping


def _target(grade: str, pair: str) -> str:
    target = fold(grade)
    if target == LEAVE_OUT:
        return LEAVE_OUT
    if target in GRADE_NAMES:
        return GRADES[GRADE_NAMES[target]]
    shown = quote([pair])[0]
    raise CorpusError(
        "bad_grade",
        f"{shown!r} is not WORD=GRADE; GRADE is low, medium, high, critical, or none to leave records out.",
        found=shown,
    )


def _scale(scale: str) -> dict[str, str]:
    found = SCALE.fullmatch(fold(scale))
    if found and found[1] == found[3] and abs(int(found[2]) - int(found[4])) == len(GRADES) - 1:
        first, step = int(found[2]), 1 if int(found[4]) > int(found[2]) else -1
        return {f"{found[1]}{first + step * place}": grade for place, grade in enumerate(GRADES)}
    raise CorpusError(
        "bad_grade",
        f"{quote([scale])[0]!r} is no scale of four numbers; give those of low and critical, such as "
        "0-3, 1-4, 4-1 or P4-P1, and map any other number by itself.",
        found=quote([scale])[0],
    )


class Vocabulary:
    """The grade words of one file: the known ones, and those that the user mapped.

    `mapping` gives for a word a known grade, or `none` to leave its records out. Raises CorpusError
    `bad_grade` for any other.
    """

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None:
        given = (mapping or {}).items()
        self._given = {fold(word): _target(grade, f"{word}={grade}") for word, grade in given}

    def __contains__(self, written: str) -> bool:
        """Whether a value is a grade here, or stands for none; "important" counts."""
        word = fold(written)
        return word in UNGRADED_WORDS or word == IMPORTANT or self.grade(word) is not None

    def grade(self, word: str) -> int | str | None:
        """Return the index in `GRADES` of a folded word, `LEAVE_OUT`, or None if it is not known."""
        if (given := self._given.get(word)) is None:
            return grade_of_word(word)
        return LEAVE_OUT if given == LEAVE_OUT else GRADES.index(given)
