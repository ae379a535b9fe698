"""Texts of one's own, from the file to the grade of a new description, in a real browser on a real server."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from sparsecore.corpora.corpus import GRADES
from sparsecore.corpora.generator import generate
from sparsecore.corpora.storage import stored_corpora
from sparsecore.runs.store.store import Store
from tests.browser.waiting import open_list

pytestmark = pytest.mark.browser

SHARED = Path(__file__).parents[3] / "shared" / "data" / "vulnerabilities_zh4_small.csv.gz"
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> **bold** <script>document.title='owned'</script>"


def file_of_texts(folder: Path) -> Path:
    """A shared file of real texts, or, without it, one of generated ones."""
    if SHARED.exists():
        return SHARED
    corpus = generate(600, 7)
    grades = [GRADES[label] for label in corpus.labels]
    return table(folder / "texts.csv", ("text", "label"), zip(corpus.texts, grades, strict=True))


def table(path: Path, names: tuple[str, ...], rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def upload(page, file: Path) -> None:
    page.locator("input[type=file]").first.set_input_files(file)


def button(page, name: str):
    return page.get_by_role("button", name=re.compile(rf"\b{name}$")).first


def kept_here(server) -> list[str]:
    return [each.name for each in stored_corpora(server.home / "corpora")]


def test_a_file_is_shown_kept_trained_on_and_a_new_text_is_graded(open_page, server, tmp_path):
    page = open_page("/data")
    upload(page, file_of_texts(tmp_path))
    page.locator(".st-key-first_texts .sp-samples li").nth(2).wait_for()
    expect(page.locator(".sp-legend").first).to_contain_text("critical 超高危")
    assert "our texts" not in kept_here(server)
    name = page.get_by_role("textbox", name="Name")
    name.fill("our texts")
    name.press("Enter")
    button(page, "Save").click()
    page.get_by_text("our texts: ").wait_for()
    assert "our texts" in kept_here(server)
    button(page, "Train on these texts").click()
    page.wait_for_function("() => location.search.includes('data=')")
    page.wait_for_function("() => location.search.includes('task=vulnerabilities')")
    page.locator(".sc-live:not(.sc-waiting) .sc-step:not(:empty)").wait_for()
    before = page.url
    page.locator(".st-key-do_train button").first.click()
    page.wait_for_function("url => location.href !== url", arg=before)
    page.locator(".sc-source", has_text="our texts").wait_for()
    page.locator('.sc-pill[data-state="running"]').wait_for()
    page.wait_for_timeout(4000)
    page.locator(".st-key-do_stop button").first.click()
    page.locator('.sc-pill[data-state="stopped"]').wait_for()
    page.locator(".sc-fit .xtitle", has_text="epoch").wait_for()
    field = page.get_by_role("textbox", name="Vulnerability description")
    field.fill(f"攻击者可利用该漏洞执行任意代码 {HOSTILE}")
    button(page, "Grade").click()
    page.locator(".sp-probabilities li").nth(3).wait_for()
    assert page.locator(".sp-chosen").count() == 1
    assert page.locator(".sp-tokens mark").count() > 3
    assert page.locator(".sp-tokens img, .sp-tokens script").count() == 0
    assert page.title() != "owned"
    assert Store(server.home).list(limit=1)[0].config.data is not None


@pytest.mark.slow
def test_hostile_texts_are_shown_as_texts_and_nothing_is_kept(open_page, server, tmp_path):
    page = open_page("/data")
    rows = [(f"{HOSTILE} {n}", ("low", "high")[n % 2]) for n in range(30)]
    upload(page, table(tmp_path / "<b>x<img>.csv", ("text", "label"), rows))
    page.locator(".st-key-first_texts .sp-samples li").nth(2).wait_for()
    assert page.locator(".st-key-first_texts :is(img, script)").count() == 0
    expect(page.locator(".st-key-first_texts .sp-samples li").first).to_contain_text("<script>")
    before = kept_here(server)
    button(page, "Discard").click()
    page.locator(".st-key-first_texts .sp-samples").wait_for(state="detached")
    assert kept_here(server) == before
    assert page.title() != "owned"


@pytest.mark.slow
def test_columns_that_cannot_be_told_are_picked(open_page, tmp_path):
    corpus = generate(40, 3)
    names = ("alpha", "beta", "gamma")
    rows = [(n, GRADES[g], GRADES[3 - g]) for n, g in enumerate(corpus.labels)]
    rows = [(text, *row[1:]) for text, row in zip(corpus.texts, rows, strict=True)]
    page = open_page("/data")
    upload(page, table(tmp_path / "odd.csv", names, rows))
    page.get_by_text("Which columns hold the texts").wait_for()
    open_list(page, "Grade column")
    page.get_by_role("option", name="alpha").click()
    button(page, "Read again").click()
    page.get_by_text("The table has no text column").wait_for()
    open_list(page, "Grade column")
    page.get_by_role("option", name="gamma").click()
    button(page, "Read again").click()
    page.locator(".st-key-first_texts .sp-samples li").nth(2).wait_for()


@pytest.mark.slow
def test_what_is_no_file_of_texts_is_refused_in_one_sentence(open_page, server, tmp_path):
    page = open_page("/data", locale="zh-CN")
    wrong = tmp_path / "picture.png"
    wrong.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    before = kept_here(server)
    upload(page, wrong)
    page.get_by_text("无法识别这个文件的格式").wait_for()
    assert kept_here(server) == before
