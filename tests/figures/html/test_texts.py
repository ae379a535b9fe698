"""Texts as HTML: the right numbers, and no text is ever parsed as markup."""

from html.parser import HTMLParser

import pytest

from sparsecore.figures.html.texts import (
    SAMPLE_CHARACTERS,
    grade_bar,
    grade_table,
    probability_bars,
    probability_table,
    samples,
    shaded_tokens,
    token_table,
)
from sparsecore.words import words

GRADES = ("低危", "中危", "高危", "超高危")
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</bdi></mark><iframe src=//evil>",
    "' onmouseover='alert(1)",
    "&lt;b&gt; &amp; **bold** [x](javascript:alert(1))",
    "\u202eevil\u202d right to left \u2066",
]
ALLOWED_TAGS = {"div", "ul", "ol", "li", "b", "i", "em", "small", "span", "p", "mark", "bdi"}


def say(key: str, **values: object) -> str:
    return words("en")[key].format(**values)


class ParsedMarkup(HTMLParser):
    """The tags, attributes and text of markup; fails if a tag is not closed."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(markup)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text):
    for markup in (
        samples([(text, 2)], say),
        shaded_tokens([(text, 0.5), (text, -0.25)], text, say),
        probability_bars({text: 0.4}, text, say),
        grade_bar({text: 3}, say),
    ):
        parsed = ParsedMarkup(markup)
        assert set(parsed.tags) <= ALLOWED_TAGS
        assert {name for name, _ in parsed.attributes} <= {"class", "style", "title", "role", "aria-label"}
        assert text in parsed.text
        assert all(text not in (value or "") for name, value in parsed.attributes if name == "style")


def test_bidi_controls_are_isolated():
    assert "<bdi>\u202eevil</bdi>" in samples([("\u202eevil", 0)], say)
    assert "<bdi>\u202eevil</bdi>" in shaded_tokens([("\u202eevil", 1.0)], "高危", say)


def test_a_long_sample_is_truncated():
    assert len(ParsedMarkup(samples([("x" * 10_000, 0)], say)).text) < SAMPLE_CHARACTERS + 20


def test_the_grade_bar_shows_present_grades_and_all_counts():
    markup = grade_bar(dict(zip(GRADES, (1, 0, 3, 0), strict=True)), say)
    assert markup.count("flex:") == 2
    assert "low 低危 1 (25.0%)" in markup
    parsed = ParsedMarkup(markup)
    for grade in ("low 低危 1", "medium 中危 0", "high 高危 3", "critical 超高危 0"):
        assert grade in parsed.text


def test_a_probability_bar_is_as_wide_as_its_probability():
    markup = probability_bars({"低危": 0.125, "高危": 0.875}, "高危", say)
    assert "width:12.5%" in markup
    assert "width:87.5%" in markup
    assert markup.count("sp-chosen") == 1
    assert markup.index("sp-chosen") > markup.index("12.5%")


def test_tokens_are_shaded_by_size_and_marked_by_sign():
    markup = shaded_tokens([("注入", 0.8), ("可能", -0.4), ("。", 0.0)], "高危", say)
    body = markup[: markup.index('class="sp-key"')]
    assert (body.count("sp-for"), body.count("sp-against")) == (2, 1)
    assert "/ 0.70)" in body
    assert "/ 0.35)" in body
    assert "/ 0.00)" in body
    assert 'title="注入: +0.8"' in body
    assert 'title="可能: -0.4"' in body
    assert "Most influential words for high 高危: 注入" in markup


def test_a_text_without_weights_has_no_shade():
    assert "/ 0.00)" in shaded_tokens([("x", 0.0)], "低危", say)
    assert "sp-tokens" in shaded_tokens([], "低危", say)


def test_every_picture_has_a_table_with_full_precision():
    _, grades = grade_table({"低危": 1, "高危": 2}, say)
    assert grades == [("low 低危", 1, 1 / 3), ("high 高危", 2, 2 / 3)]
    _, shares = probability_table({"低危": 0.1, "高危": 0.9}, say)
    assert shares == [("low 低危", 0.1), ("high 高危", 0.9)]
    header, words_ = token_table([("注入", 0.123456789)], "高危", say)
    assert (header, words_) == (("word", "added to the logit of high 高危"), [("注入", 0.123456789)])
