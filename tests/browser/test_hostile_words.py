"""Names and texts that try to be more than words: on every page they are seen as the text they are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from sparsecore.corpora.corpus import GRADES
from sparsecore.corpora.generator import generate
from sparsecore.corpora.storage import add, stored_corpora
from sparsecore.engine.config import RunConfig
from sparsecore.figures.html.texts import SAMPLE_CHARACTERS
from sparsecore.figures.reports.run import run_report
from sparsecore.figures.reports.sweep import sweep_report
from sparsecore.paper.plan import TablePlan
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.run import LESSON
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.runs.sweeps.stored import Sweep
from sparsecore.runs.workers.worker import Worker
from sparsecore.teaching.leaderboard import enter
from tests.browser.test_texts import button, table, upload
from tests.browser.waiting import at_rest, open_list

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
OWNED = "window.owned=1"
MARKUP = f"<img src=x onerror={OWNED}><script>{OWNED}</script><svg onload={OWNED}>"
MARKDOWN = f"**b** [l](javascript:{OWNED}) :red[r] $x^2$ :material/home: ~~s~~ `c`"
BIDI = "\u202eabc\u2066def\u202b left open \u05d0\u05d1\u05d2 "
EMOJI = "\U0001f4a5" * 100_000  # 400 kB; a longer cell is refused
MEGABYTE = "\U0001f4a5" * 262_144
TEXTS = [MARKUP, MARKDOWN, f"{BIDI}behind it", EMOJI, '"\'><b>"x</b>&amp;', "[red]r[/red]"]
SEEN = 3  # of a file's texts are shown: those that stand first
NAME = "<b onmouseover=owned=1>\"'</b> **b** [l](javascript:owned=1) [red]r[/red]"


def hostile_table(path: Path, columns: tuple[str, str] = ("text", "label"), first: int = 0) -> Path:
    """Hostile texts first, from this one on, then usual ones enough to learn from."""
    usual = generate(60, 5)
    texts = [*TEXTS[first:], *TEXTS[:first], *usual.texts]
    labels = [GRADES[each] for each in (*usual.labels[: len(TEXTS)], *usual.labels)]
    return table(path, columns, zip(texts, labels, strict=True))


def nothing_ran(page) -> None:
    assert page.evaluate("window.owned") is None
    assert page.locator("img[src=x], [onerror], [onload], [onmouseover], a[href^=javascript]").count() == 0
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= seen


@pytest.mark.parametrize(("width", "first"), [(1280, 0), pytest.param(390, SEEN, marks=pytest.mark.slow)])
def test_a_hostile_file_is_shown_as_words(open_page, server, tmp_path, width: int, first: int):
    file = hostile_table(tmp_path / f"{MARKUP.replace('/', '')[:60]}.csv", first=first)
    page = open_page("/data", width=width)
    upload(page, file)
    rows = page.locator(".st-key-first_texts .sp-samples li")
    rows.nth(SEEN - 1).wait_for()
    for place, text in enumerate(TEXTS[first : first + SEEN]):
        told = rows.nth(place).locator("bdi")  # what turns the direction ends with its text
        assert told.count() == 1
        assert told.text_content().rstrip("…") in text
        assert len(told.text_content()) <= SAMPLE_CHARACTERS + 1
        assert rows.nth(place).bounding_box()["height"] < 900
    nothing_ran(page)
    name = f"{NAME[:70]} {width}"
    field = page.get_by_role("textbox", name="Name")
    field.fill(name)
    field.press("Enter")
    button(page, "Save").click()
    page.locator(".sp-kept", has_text=name).wait_for()
    assert name in [each.name for each in stored_corpora(server.home / "corpora")]
    nothing_ran(page)


@pytest.mark.slow
def test_a_megabyte_of_emoji_in_a_cell_is_refused_in_a_sentence(open_page, tmp_path):
    page = open_page("/data", width=390)
    upload(page, table(tmp_path / "t.csv", ("text", "label"), [("a", "高危"), (MEGABYTE, "低危")]))
    page.get_by_text("The table cannot be split into cells near row 3").wait_for()
    assert "\U0001f4a5" not in page.locator("body").text_content()
    nothing_ran(page)


@pytest.mark.slow
def test_hostile_names_of_texts_are_shown_as_words_in_the_lab_and_when_removed(open_page, server, tmp_path):
    found = add(hostile_table(tmp_path / "t.csv"), NAME, server.home / "corpora")
    page = open_page(f"/?task=vulnerabilities&noise=0&data={found.id}", width=390)
    page.locator(".sc-live:not(.sc-waiting)").wait_for()
    at_rest(page)
    page.get_by_role("button", name=re.compile("More")).first.click()
    expect(page.get_by_role("combobox", name=re.compile("Texts")).first).to_be_visible()
    nothing_ran(page)
    page.goto(f"{server.url}/data")
    row = page.locator("[data-testid=stVerticalBlock]", has_text=NAME).last
    row.get_by_role("button", name=re.compile("Remove")).click()
    expect(page.get_by_text(f"Remove {NAME} from this server?")).to_be_visible()
    nothing_ran(page)


@pytest.fixture(scope="module")
def the_store(server) -> Iterator[Store]:
    store = Store(server.home)
    yield store
    store.close()


def trained(store: Store, config: RunConfig) -> str:
    """A run that has ended, with a name and a note that try to be more."""
    run = store.create(config, worker="w")
    Worker(store, store.get(run), "w").work()
    catalogue.describe(store, run, name=NAME, note=f"{MARKUP}\n{MARKDOWN}\n{BIDI}")
    return run


def failed(store: Store, run: str) -> None:
    """It failed for a reason that is full of markup, as the message of a library may quote a text."""
    store.fail(run, f"{MARKUP} {MARKDOWN} {BIDI}")
    catalogue.describe(store, run, name=NAME)


@pytest.fixture(scope="module")
def named(the_store: Store) -> str:
    return trained(the_store, RunConfig(task="spirals", seed=5, max_steps=2_500))


@pytest.fixture(scope="module")
def swept(the_store: Store, tmp_path_factory) -> Sweep:
    """A sweep on texts of a hostile name: one of its runs failed, and all have hostile names."""
    texts = hostile_table(tmp_path_factory.mktemp("texts") / "t.csv")
    found = add(texts, f"{NAME} swept", the_store.home / "corpora")
    parameters = {"size": "demo", "data": found.id, "noise": 0.0, "max_steps": 8}
    spec = SweepSpec(
        task="vulnerabilities",
        methods=("layerwise",),
        densities=(1.0, 0.4, 0.2),
        seeds=(0,),
        parameters=parameters,
    )
    for config in spec.configs()[:2]:
        trained(the_store, config)
    sweep = stored.begin(the_store, spec)
    failed(the_store, stored.cells_of(the_store, spec)[2].run.id)
    return stored.get(the_store, sweep)


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.slow), 390])
def test_a_hostile_name_and_note_of_a_run_are_words(open_page, named: str, width: int):
    page = open_page("/runs", width=width)
    page.locator("[data-testid=stDataFrame] canvas").first.wait_for()
    open_list(page, re.compile("Selected run"))
    page.get_by_role("option", name=re.compile(named)).click()
    page.keyboard.press("Escape")  # the list of several runs stays open after a choice
    expect(page.get_by_role("textbox", name="Name")).to_have_value(NAME)
    nothing_ran(page)


@pytest.mark.slow
def test_a_hostile_name_of_a_run_is_words_in_the_lab_and_its_report(open_page, server, named: str, tmp_path):
    page = open_page(f"/?run={named}")
    page.locator(".sc-live:not(.sc-waiting)").wait_for()
    at_rest(page)
    nothing_ran(page)
    store = Store(server.home)
    file = tmp_path / "run.html"
    file.write_text(run_report(store, store.get(named)), encoding="utf-8")
    store.close()
    page.goto(file.as_uri())
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    expect(page.locator("h1").first).to_have_text(NAME)
    assert page.locator("[onerror], [onmouseover], a[href^=javascript], img[src=x]").count() == 0
    assert page.evaluate("window.owned") is None


@pytest.mark.slow
def test_a_hostile_name_on_the_leaderboard_is_words(open_page, server, named: str):
    store = Store(server.home)
    assert enter(store, named, NAME).passes
    store.close()
    page = open_page("/challenge")
    page.locator("[data-testid=stDataFrame] canvas").first.wait_for()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    page.locator(".js-plotly-plot .points path").first.hover(force=True)
    page.locator(".hoverlayer text").first.wait_for()
    assert "owned" not in page.locator(".js-plotly-plot").first.text_content()
    nothing_ran(page)


@pytest.mark.slow
def test_a_hostile_description_is_graded_as_words(open_page, the_store: Store, swept: Sweep):
    run = stored.cells_of(the_store, swept.spec)[1].run.id
    page = open_page(f"/?run={run}", width=390)
    page.locator(".sc-live:not(.sc-waiting)").wait_for()
    at_rest(page)
    asked = f"攻击者可利用该漏洞 {BIDI} \U0001f4a5\U0001f4a5 {MARKUP} {MARKDOWN}"  # of the first 64 words
    page.get_by_role("textbox", name="Vulnerability description").fill(asked)
    button(page, "Grade").click()
    page.locator(".sp-probabilities li").nth(3).wait_for()
    tokens = page.locator(".sp-tokens mark bdi").all_text_contents()
    assert {"onerror", "script", "window", "\u202e"} <= set(tokens)
    assert set("".join(tokens)) <= set(asked.lower())
    nothing_ran(page)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_a_sweep_on_hostile_texts_is_told_in_words(open_page, swept: Sweep, width: int):
    page = open_page(f"/sweep?sweep={swept.id}", width=width)
    page.locator(".st-key-sweep_metric .js-plotly-plot .main-svg").first.wait_for()
    expect(page.locator(".sp-notes li")).to_contain_text(MARKUP)
    page.locator("[data-testid=stDataFrame] canvas").first.wait_for()
    at_rest(page)
    page.get_by_role("button", name=re.compile("More")).first.click()
    expect(page.get_by_role("combobox", name=re.compile("Texts")).first).to_be_visible()
    nothing_ran(page)


@pytest.mark.slow
def test_the_report_of_a_sweep_on_hostile_texts_is_told_in_words(
    open_page, the_store: Store, swept: Sweep, tmp_path
):
    file = tmp_path / "sweep.html"
    file.write_text(sweep_report(the_store, swept), encoding="utf-8")
    page = open_page(url=file.as_uri(), path="", width=390)
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert page.locator("#en td bdi", has_text=NAME).count() == 3
    expect(page.locator("#en td bdi", has_text=MARKUP)).to_have_count(1)
    nothing_ran(page)


@pytest.mark.slow
def test_a_hostile_name_of_a_lessons_run_is_words(open_page, the_store: Store):
    page = open_page("/lessons?lesson=collapse", width=390)
    page.locator(".sc-live:not(.sc-waiting) .sc-step").wait_for()
    for run in the_store.list(origin=LESSON):
        catalogue.describe(the_store, run.id, name=NAME, note=MARKUP)
    page.reload()
    page.locator(".sc-live:not(.sc-waiting) .sc-step").wait_for()
    at_rest(page)
    page.locator(".st-key-lesson_choice_2 button").click()
    expect(page.locator(".sp-answers")).to_be_visible()
    page.locator(".sc-live:not(.sc-waiting) .sc-step").wait_for()
    nothing_ran(page)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_hostile_names_of_two_runs_are_words_side_by_side(
    open_page, the_store: Store, named: str, width: int
):
    config = RunConfig(task="spirals", max_steps=300, theta=0, seed=width)
    page = open_page(f"/compare?a={named}&b={trained(the_store, config)}", width=width)
    page.locator(".cp-view .js-plotly-plot .main-svg").nth(4).wait_for()
    expect(page.locator(".cp-name")).to_have_text([NAME, NAME])
    assert "owned" not in "".join(page.locator(".js-plotly-plot").all_text_contents())
    nothing_ran(page)


@pytest.mark.slow
def test_a_failed_run_of_a_hostile_name_is_counted_on_the_paper_page(open_page, the_store: Store):
    config = TablePlan("3-2").specs()["grid"].configs()[0]
    failed(the_store, the_store.create(config, worker="w"))
    page = open_page("/paper?table=3-2", width=390)
    page.get_by_role("radio", name="Runs of this server").click()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    expect(page.locator(".sp-is-failed").first).to_have_text("1 of 3 failed")
    assert "owned" not in page.locator("[data-testid=stMain]").text_content()
    nothing_ran(page)


def test_hostile_addresses_are_told_in_words(open_page, server):
    page = open_page("/compare", width=390)
    told = ("compare?a=", "sweep?sweep=")
    for path in (*told, "paper?table=", "lessons?lesson=", "?task=vulnerabilities&data="):
        page.goto(f"{server.url}/{path}{quote(MARKUP + MARKDOWN)}")
        page.locator(".js-plotly-plot .main-svg, [data-testid=stAlert]").first.wait_for()
        at_rest(page)
        if path in told:
            expect(page.get_by_text(MARKUP)).to_be_visible()
        nothing_ran(page)


def test_hostile_names_are_words_in_the_terminal(server, tmp_path):
    """Neither markup of the terminal's nor its signs of control are obeyed; `--json` has the name whole."""
    found = add(hostile_table(tmp_path / "t.csv"), f"{NAME} t", server.home / "corpora")
    command = [sys.executable, "-m", "sparsecore", "data", "list"]
    environment = os.environ | {"SPARSECORE_HOME": str(server.home), "COLUMNS": "400", "FORCE_COLOR": "1"}
    options = {"cwd": ROOT, "env": environment, "capture_output": True, "encoding": "utf-8", "check": True}
    seen = subprocess.run(command, **options).stdout
    assert "[red]r[/red]" in seen
    assert "\x1b[31m" not in seen
    told = json.loads(subprocess.run([*command, "--json"], **options).stdout)
    names = json.dumps(told, ensure_ascii=False)
    assert found.id in names
