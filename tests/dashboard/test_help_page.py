"""The Help page shows the documents of `assets/docs`, with their links, anchors and pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sparsecore.dashboard import documents
from sparsecore.dashboard.documents import document
from sparsecore.words import LANGUAGES, speaker, words
from tests.dashboard.opening import opened


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An empty folder in place of the documents."""
    monkeypatch.setattr(documents, "FOLDER", tmp_path)
    document.cache_clear()
    yield tmp_path
    document.cache_clear()


def html_of(folder: Path, text: str) -> str:
    (folder / "one.md").write_text(text, encoding="utf-8")
    return document("one").html


@pytest.mark.parametrize(
    ("markdown", "address"),
    [
        ("[a](lab.md)", "?doc=lab"),
        ("[a](lab.md#how-a-run-ends)", "?doc=lab#how-a-run-ends"),
        ("[a](#terms)", "#terms"),
        ("[a](https://example.org/x.md)", "https://example.org/x.md"),
    ],
)
def test_links_between_documents_become_addresses_of_the_page(folder: Path, markdown: str, address: str):
    assert f'href="{address}"' in html_of(folder, markdown)


def test_a_picture_comes_by_the_route_of_pictures(folder: Path):
    assert '<img src="./documents/lab.png" alt="The Lab"' in html_of(folder, "![The Lab](lab.png)")


def test_headings_have_the_anchors_of_github(folder: Path):
    html_of(folder, "# The thesis's tables\n\n## On `save`, and load\n\n## Twice\n\n## Twice\n")
    anchors = [heading.anchor for heading in document("one").headings]
    assert anchors == ["the-thesiss-tables", "on-save-and-load", "twice", "twice-1"]


def test_markup_in_a_document_is_text(folder: Path):
    html = html_of(folder, "<script>alert(1)</script>\n\n```\n<b>\n```\n")
    assert "<script>" not in html
    assert "<b>" not in html


def test_only_a_long_document_has_a_list_of_contents(folder: Path):
    html_of(folder, "# Title\n\n## One\n\n## Two\n")
    assert document("one").contents == ()
    document.cache_clear()
    html_of(folder, "# Title\n\n## One\n\n## Two\n\n### Part\n\n## Three\n")
    assert [heading.title for heading in document("one").contents] == ["One", "Two", "Three"]


def test_links_keep_what_else_is_in_the_address():
    html = documents.page("lab", {"type": "large", "lang": "zh"}, speaker("zh"))
    inner = re.findall(r'href="(\?[^"]*)"', html)
    assert all(address.startswith("?type=large&amp;lang=zh&amp;doc=") for address in inner)
    assert len(inner) > len(documents.names())


def test_the_picture_of_the_lab_is_sent():
    with TestClient(Starlette(routes=[documents.route()])) as client:
        answer = client.get("/documents/lab.png")
    assert answer.headers["content-type"] == "image/png"
    assert len(answer.content) < 250_000


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_says_in_chinese_that_the_documents_are_in_english(served, lang: str):
    app = opened("help.py", lang, doc="class")
    assert [each.value for each in app.caption] == ([words(lang)["help.language"]] if lang == "zh" else [])


@pytest.mark.parametrize("name", ["nonsense", "../../README", "<b>x</b>"])
def test_an_unknown_document_is_a_sentence_and_the_list(served, name: str):
    app = opened("help.py", doc=name)
    assert "There is no document" in app.info[0].value
