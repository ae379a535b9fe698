"""A page is one file of the folder and its words: nothing else lists the pages."""

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import sparsecore.words
from sparsecore.dashboard.pages import PAGES, PageError, page_file, pages
from sparsecore.settings import ASSETS
from sparsecore.words import LANGUAGES, words

NEW = """
import streamlit as st
from sparsecore.dashboard.controls import say

ICON = ":material/blur_on:"
ORDER = 15

st.subheader(say("blur.title"))
"""


@pytest.fixture
def with_new_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The app's pages and words in a folder of their own, with one page more."""
    shutil.copytree(PAGES, tmp_path / "pages")
    shutil.copytree(ASSETS, tmp_path / "assets", ignore=shutil.ignore_patterns("paper", "theory", "views"))
    (tmp_path / "pages" / "blur.py").write_text(NEW, encoding="utf-8")
    for language in LANGUAGES:
        file = tmp_path / "assets" / "words" / f"{language}.json"
        more = {"page.blur": f"Blur in {language}", "blur.title": f"What is blurred? ({language})"}
        file.write_text(json.dumps(words(language) | more), encoding="utf-8")
    monkeypatch.setattr(sparsecore.words, "ASSETS", tmp_path / "assets")
    sparsecore.words._all.cache_clear()
    yield tmp_path / "pages"
    sparsecore.words._all.cache_clear()


def test_every_page_has_its_title_in_both_languages_and_an_address_of_its_own():
    assert pages()[0].path == ""
    assert len({page.path for page in pages()}) == len(pages())
    for language in LANGUAGES:
        assert {f"page.{page.name}" for page in pages()} <= words(language).keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_and_its_words_are_a_page_of_the_menu(with_new_page: Path, language: str):
    app = AppTest.from_file(str(with_new_page / "_navigation.py"), default_timeout=60)
    app.query_params["lang"] = language
    app.switch_page("blur.py").run()
    assert not app.exception
    assert [head.value for head in app.subheader] == [f"What is blurred? ({language})"]
    assert [(page.name, page.path) for page in pages(with_new_page)][:3] == [
        ("lab", ""),
        ("blur", "blur"),
        ("sweep", "sweep"),
    ]


@pytest.mark.parametrize(
    ("source", "missing"),
    [("ORDER = 1\n", "ICON"), ('ICON = ":material/info:"\n', "ORDER"), ("ICON = 3\nORDER = 1\n", "ICON")],
)
def test_a_page_that_does_not_state_its_place_is_named(tmp_path: Path, source: str, missing: str):
    (tmp_path / "blur.py").write_text(source, encoding="utf-8")
    with pytest.raises(PageError, match=rf"pages/blur\.py must state {missing}"):
        pages(tmp_path)


def test_a_link_goes_to_the_file_of_a_page():
    assert [page_file(page.name) for page in pages()] == [page.file for page in pages()]
