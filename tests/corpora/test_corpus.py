import re
from pathlib import Path

import pytest

from sparsecore import corpora
from sparsecore.corpora import cleaning
from sparsecore.corpora.cleaning import clean
from sparsecore.corpora.corpus import (
    SKIP_REASONS,
    Corpus,
    CorpusError,
    TextRecord,
    quote,
)
from sparsecore.words import LANGUAGES, words

TWENTY = [(f"第{i}条", "高" if i % 2 else "低") for i in range(20)]


def test_grade_names_match_in_any_case_and_with_spaces_around():
    assert clean([*TWENTY, ("x", " Critical ")], "x").labels[-1] == 3


def test_a_duplicate_is_kept_once_at_its_first_position():
    corpus = clean([TWENTY[3], *TWENTY], "x")
    assert corpus.texts[0] == "第3条"
    assert len(corpus.texts) == 20
    assert corpus.skipped == {"duplicate": 1}


def test_a_text_with_conflicting_grades_is_dropped():
    corpus = clean([*TWENTY, ("a", "高"), ("a", "高危"), ("a", "低")], "x")
    assert "a" not in corpus.texts
    assert corpus.skipped == {"conflicting": 3}


def test_each_skipped_record_has_one_reason():
    taken_back = [TextRecord("e", "高", skip_reason="withdrawn"), ("** REJECT ** f", "")]
    extra = [
        *taken_back,
        ("", "高"),
        ("  ", ""),
        ("b", " "),
        ("c", "P1"),
        ("第0条", "低危"),
        ("d", "高"),
        ("d", "中"),
    ]
    corpus = clean([*TWENTY, *extra], "x", {"p1": "none"})
    wanted = {"empty_text": 2, "ungraded": 1, "unknown_grade": 1, "duplicate": 1, "conflicting": 2}
    wanted |= {"withdrawn": 1, "rejected": 1}
    assert corpus.skipped == wanted
    assert {*wanted, "other_file"} == set(SKIP_REASONS)
    assert len(corpus.texts) + sum(wanted.values()) == len(TWENTY) + len(extra)


def test_white_space_is_collapsed_and_markup_is_kept():
    corpus = clean([*TWENTY, (" 可执行\r\n\r\n<script>alert(1)</script>\t&amp; ", "中")], "x")
    assert corpus.texts[-1] == "可执行 <script>alert(1)</script> &amp;"


def test_nineteen_records_are_too_few_and_the_message_counts_the_skipped():
    with pytest.raises(
        CorpusError, match=r"19 usable records \(skipped: 1 ungraded\); at least 20"
    ) as caught:
        clean([*TWENTY[:19], ("x", "")], "x")
    assert caught.value.code == "too_few"
    assert caught.value.details == {"usable": 19, "needed": 20, "skipped": {"ungraded": 1}}


def test_one_class_is_refused_by_name():
    with pytest.raises(CorpusError, match="the grade 高危") as caught:
        clean([(text, "高") for text, _ in TWENTY], "x")
    assert caught.value.code == "one_class"


def test_unknown_grades_are_quoted_with_the_known_ones():
    with pytest.raises(CorpusError, match=r"p0 × 7, p1 × 7, p2 × 6.*--grade") as caught:
        clean([(text, f"P{i % 3}") for i, (text, _) in enumerate(TWENTY)], "x")
    assert caught.value.code == "unknown_grades"
    assert caught.value.details["unknown"] == {"p0": 7, "p1": 7, "p2": 6}


def test_quoted_values_are_few_short_and_printable():
    assert quote(["a" * 1000, "\x1b[31m", "c", "d", "e", "f"]) == ["a" * 30, "\ufffd[31m", "c", "d", "e"]


def test_a_corpus_needs_a_label_in_range_for_each_text():
    with pytest.raises(ValueError, match="2 texts have 1 labels"):
        Corpus("x", ("a", "b"), (0,), {}, False)
    with pytest.raises(ValueError, match=r"0…3, got \[4\]"):
        Corpus("x", ("a",), (4,), {}, False)


def test_every_error_code_has_a_message_in_both_languages():
    code = re.compile(r'CorpusError\(\s*f?"([a-z_{}]+)"')
    folder = Path(corpora.__file__).parent
    found = {name for file in folder.glob("*.py") for name in code.findall(file.read_text(encoding="utf-8"))}
    found = found - {"no_{what}_column"} | {"no_text_column", "no_label_column"}
    for language in LANGUAGES:
        said = {key.removeprefix("corpus.") for key in words(language) if key.startswith("corpus.")}
        assert said == found


def test_the_number_of_records_is_limited(monkeypatch):
    monkeypatch.setattr(cleaning, "MAX_RECORDS", 19)
    with pytest.raises(CorpusError, match="more than 19 records") as caught:
        clean(TWENTY, "x")
    assert caught.value.code == "too_many_records"


def test_dates_are_normalized_and_unknown_forms_dropped():
    written = [
        "2020-01-02T03:04Z",
        " 2020/1/2",
        "2020年1月2日",
        "2020.01.02",
        "2.1.2020",
        "2020-01-023",
        "x",
        "",
    ]
    records = [TextRecord(f"第{i}条", "高" if i % 2 else "低", date) for i, date in enumerate(written * 3)]
    assert (
        clean(records, "x").dates == ("2020-01-02",) * 4 + ("",) * 4 + (("2020-01-02",) * 4 + ("",) * 4) * 2
    )
