"""A grade is read only where its meaning is known; everything else is asked about."""

import pytest

from sparsecore.corpora.cleaning import clean
from sparsecore.corpora.corpus import GRADES, CorpusError
from sparsecore.corpora.grades import GRADE_NAMES, Vocabulary, fold, grade_of_word, read_mapping

TEXTS = [f"第{i}条" for i in range(60)]


def labels(words, **options):
    return set(clean([(text, words[i % len(words)]) for i, text in enumerate(TEXTS)], "x", **options).labels)


def unknown(words, **options):
    with pytest.raises(CorpusError) as caught:
        labels(words, **options)
    assert caught.value.code == "unknown_grades"
    return caught.value.details["unknown"]


def test_the_names_of_one_grade_have_one_index():
    names = dict.fromkeys(("超高危", "超危", "危急", "严重", "critical"), 3)
    names |= {"中": 1, "moderate": 1, "low": 0, "high": 2}
    assert {name: GRADE_NAMES[name] for name in names} == names
    assert [GRADE_NAMES[grade] for grade in GRADES] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("written", "grade"),
    [
        *(("ＨＩＧＨ", 2), ("高危/High", 2), ("HIGH (7.5)", 2), ("7.5 high", 2), ("high severity", 2)),
        *(
            ("高 (AV:N/AC:L/Au:N/C:C/I:C/A:C)", 2),
            ("CRITICAL CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 3),
        ),
        *(("Low\u3000", 0), ("【低危】", 0), ("严重 9.8", 3)),
        *(
            (word, None)
            for word in ("2", "P1", "7.5", "not high", "medium-high", "high/critical", "very high")
        ),
        *(
            (word, None)
            for word in (
                "嚴重",
                "致命",
                "blocker",
                "important",
                "level 3",
                "highest",
                "(3)",
                "高?低",
                "high?",
                "<high",
            )
        ),
    ],
)
def test_a_grade_is_read_with_what_may_stand_beside_it_and_never_guessed(written, grade):
    assert grade_of_word(fold(written)) == grade


def test_a_vocabulary_known_in_part_names_each_unknown_word_with_its_count():
    assert unknown(["low", "high", "嚴重", "Blocker"]) == {"嚴重": 15, "blocker": 15}
    assert labels(["low", "high", "嚴重"], mapping={"嚴重": "critical"}) == {0, 2, 3}
    assert labels(["low", "high", "Blocker"], mapping={"blocker": "none"}) == {0, 2}


def test_important_is_high_on_the_scale_of_red_hat_alone():
    assert labels(["Low", "Moderate", "Important", "Critical"]) == {0, 1, 2, 3}
    assert labels(["Moderate", "Important"]) == {1, 2}
    for others in (
        ["low", "critical"],
        ["moderate", "high"],
        ["moderate", "中危"],
        ["low", "medium", "high"],
    ):
        assert "important" in unknown([*others, "important"])
    assert labels(["low", "medium", "important"], mapping={"important": "high"}) == {0, 1, 2}


def test_the_mapping_of_the_user_goes_before_the_known_words():
    assert labels(["low", "critical"], mapping={"critical": "high"}) == {0, 2}


def test_words_for_no_grade_are_ungraded():
    words = ("low", "high", "None", "N/A")
    corpus = clean([(f"第{i}条", words[i % 4]) for i in range(40)], "x")
    assert corpus.skipped == {"ungraded": 20}


def test_many_unknown_words_are_counted_but_not_all_by_name():
    found = unknown([f"word {i}" for i in range(60)])
    assert (len(found), found["…"], sum(found.values())) == (51, 10, 60)


@pytest.mark.parametrize(
    ("scale", "numbers"),
    [("0-3", "0123"), ("1-4", "1234"), ("4-1", "4321"), ("P4-P1", ("p4", "p3", "p2", "p1")), ("3-0", "3210")],
)
def test_a_scale_runs_from_low_to_critical(scale, numbers):
    assert read_mapping([], scale) == dict(zip(numbers, GRADES, strict=True))


@pytest.mark.parametrize("scale", ["", "0-4", "1-10", "high-low", "P1-4", "0-3-6"])
def test_other_scales_are_refused(scale):
    with pytest.raises(CorpusError) as caught:
        read_mapping([], scale)
    assert caught.value.code == "bad_grade"


@pytest.mark.parametrize("pair", ["important", "=high", "x=grave", "x=", "x=2"])
def test_a_mapping_needs_a_word_and_a_grade(pair):
    with pytest.raises(CorpusError, match="is not WORD=GRADE"):
        read_mapping([pair])


def test_a_mapping_from_a_program_is_checked_too():
    with pytest.raises(CorpusError, match="'x=grave' is not WORD=GRADE"):
        Vocabulary({"x": "grave"})
