"""The report of a reproduction is one self-contained file in which every text is escaped."""

import re
from html.parser import HTMLParser

import pytest

from sparsecore.figures.html import paper_tables
from sparsecore.figures.reports.paper import paper_report
from sparsecore.paper.comparison import compare
from sparsecore.paper.reproduction import load_pictures, load_reproduction
from sparsecore.words import speaker

EVIL = '<img src="http://evil.example/x.png" onerror="alert(1)"></script><script>alert(2)</script>'
FETCHING = {"src", "href", "data", "srcset", "poster", "action", "background"}


class Reader(HTMLParser):
    """Collect the tags and attributes of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def page(trained) -> str:
    store, plans = trained
    plan = plans["3-1"]
    return paper_report(load_reproduction(store, plan), load_pictures(store, plan))


def test_the_report_requests_nothing_from_the_network(page: str):
    reader = Reader(page)
    for tag, attributes in reader.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base"), tag
        for name in FETCHING & attributes.keys():
            assert attributes[name].startswith("#"), (tag, attributes)
    assert not re.search(
        r"@import|url\(\s*['\"]?(?!data:|#)", "".join(re.findall(r"(?s)<style>.*?</style>", page))
    )
    (policy,) = [a["content"] for tag, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_the_report_contains_plotly_once_and_both_languages(page: str):
    assert page.count("plotly.js v") <= 2  # its banner, and what it says of itself
    assert len(page) < 8_000_000
    for language in ("en", "zh"):
        say = speaker(language)
        assert f'<main lang="{language}" id="{language}">' in page
        assert say("paper.title").replace("'", "&#x27;") in page
        for number in ("3-2", "3-3", "3-4", "3-5"):
            assert f'id="{language}-{number}"' in page


def test_a_report_in_one_language_has_no_words_of_the_other(trained):
    store, plans = trained
    page = paper_report(load_reproduction(store, plans["3-1"]), {}, ("en",))
    body = page[page.index("<body>") :]
    assert not re.search(r"[\u4e00-\u9fff]", body)


def test_every_text_is_escaped(trained):
    store, plans = trained
    found = load_reproduction(store, plans["3-1"])
    hostile = found.model_copy(
        update={
            "command": EVIL,
            "commit": EVIL,
            "trials": tuple(t.model_copy(update={"run": EVIL, "reason": EVIL}) for t in found.trials),
        }
    )
    page = paper_report(hostile, {}, ("en",))
    assert EVIL not in page
    scripts = [a for tag, a in Reader(page).tags if tag == "img" or "onerror" in a]
    assert scripts == []
    collapsed = compare(
        found.model_copy(
            update={
                "trials": tuple(
                    t.model_copy(update={"status": "collapsed", "detail": {"layer": EVIL, "step": 1}})
                    for t in found.trials
                )
            }
        )
    )
    table = paper_tables.comparison_tables(collapsed, speaker("en"), lambda trial: f"/?run={EVIL}")
    assert EVIL not in table
    assert all(tag != "img" and tag != "script" for tag, _ in Reader(table).tags)


def test_a_verdict_has_a_word_and_an_arrow_besides_its_colour(reproduction, similar):
    table = paper_tables.comparison_tables(
        compare(reproduction(*similar("layerwise", 0.1, 0.07, 0.07))), speaker("en")
    )
    assert '<span class="sp-verdict sp-better">▲ −0.5963 better</span>' in table


def test_every_cell_of_the_table_has_a_row(trained):
    store, plans = trained
    found = load_reproduction(store, plans["3-1"])
    table = paper_tables.comparison_tables(compare(found), speaker("zh"))
    assert table.count('<th scope="row">') == 11 + 11 + 1
