"""No text stands on two sides of a split, in whatever form it is written."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.corpora.corpus import Corpus
from sparsecore.engine.tasks.texts.splits import canonical, groups_of, random_split, time_split

FORMS = ("apache 2.4 溢出", "Apache  2.4溢出", "ＡＰＡＣＨＥ ２.４\n溢出")


def stream() -> np.random.Generator:
    return np.random.default_rng(0)


def corpus(texts, dates) -> Corpus:
    return Corpus("made", tuple(texts), (0,) * len(texts), {}, False, tuple(dates))


def test_width_case_and_white_space_make_no_other_text():
    assert len({canonical(form) for form in FORMS}) == 1


def test_a_number_makes_another_text():
    assert canonical("Apache 2.4") != canonical("Apache 2.5")


def test_groups_are_numbered_by_first_appearance():
    assert groups_of(["b", "a", "B", "c"]).tolist() == [0, 1, 0, 2]


@given(st.lists(st.sampled_from([*FORMS, *"abcdefghij"]), min_size=12, max_size=60), st.integers(0, 5))
def test_duplicates_are_never_parted(texts, seed):
    labels = np.arange(len(texts)) % 4
    parts = random_split(texts, labels, np.random.default_rng(seed))
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(texts)))
    seen = [{canonical(texts[row]) for row in rows} for rows in parts.values()]
    assert sum(map(len, seen)) == len(set.union(*seen))


@pytest.mark.parametrize(("count", "validation"), [(1_000, 80), (50_000, 1_000)])
def test_a_tenth_of_what_does_not_test_validates_but_no_more_than_is_needed(count: int, validation: int):
    texts, labels = [f"text {n}" for n in range(count)], np.arange(count) % 4
    by_time = time_split(corpus(texts, [f"{n:06d}" for n in range(count)]), np.arange(count), stream())
    for parts in (random_split(texts, labels, stream()), by_time):
        assert len(parts["test"]) == count // 5
        assert len(parts["validation"]) == validation


def test_the_newest_fifth_tests_and_the_newest_of_the_rest_validates():
    days = [f"2020-01-{day:02d}" for day in range(1, 26)]
    texts = [f"text {day}" for day in days]
    order = np.random.default_rng(3).permutation(25)
    made = corpus([texts[i] for i in order], [days[i] for i in order])
    parts = time_split(made, np.arange(25), stream())
    dated = {name: sorted(made.dates[row] for row in rows) for name, rows in parts.items()}
    assert dated["test"] == days[20:]
    assert dated["validation"] == days[18:20]
    assert dated["train"] == days[:18]


def test_an_old_copy_of_a_new_text_does_not_train():
    texts = ["Copy", *(f"text {n}" for n in range(8)), "copy"]
    dates = [f"2020-01-{n:02d}" for n in range(1, 11)]
    parts = time_split(corpus(texts, dates), np.arange(10), stream())
    assert {0, 9} <= set(parts["test"].tolist())


def test_a_text_without_a_date_trains():
    dates = [f"2020-01-{n:02d}" for n in range(1, 10)] + [""]
    parts = time_split(corpus([f"text {n}" for n in range(10)], dates), np.arange(10), stream())
    assert 9 in parts["train"]


@pytest.mark.parametrize("dates", [[], ["2020-01-01"] + [""] * 9])
def test_texts_without_dates_cannot_be_split_by_time(dates):
    made = corpus([f"text {n}" for n in range(10)], dates)
    with pytest.raises(ValueError, match=r"needs dates for most texts, but only . of 10 have one"):
        time_split(made, np.arange(10), stream())
