"""Every page by axe-core, light and dark: nothing serious is wrong with names, roles, order and contrast.

And what a screen reader is told of the language.
"""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from sparsecore.dashboard.pages import pages
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker
from tests.browser.waiting import at_rest

pytestmark = pytest.mark.browser

# What a run of the script has not come to yet is faded, and comes back by and by.
SETTLED = """() => !document.querySelector('[data-stale="true"]')
  && !document.getAnimations().some((each) => each instanceof CSSTransition)"""
HEADING = ".stMain h3"
# Each page's address, and what is there once it has been drawn: its heading, where nothing else is named.
DRAWN = {f"/{page.path}": HEADING for page in pages() if page.name not in ("lab", "compare", "lessons")} | {
    "/?run={run}": ".sc-live:not(.sc-waiting) .sc-fit .js-plotly-plot",
    "/compare?a={run}&b={other}": ".cp-view .cp-difference canvas",
    "/lessons?lesson=collapse": ".st-key-lesson_question",
    "/lessons?lesson=hard-threshold": ".js-plotly-plot .main-svg",
    "/sweep": ".js-plotly-plot .main-svg",
    "/paper": ".st-key-paper_run",
    "/theory": ".js-plotly-plot .main-svg",
    "/challenge": "[data-testid=stAlert]",
    "/runs": "[data-testid=stDataFrame] canvas",
    "/data": "[data-testid=stFileUploader]",
    "/help?doc=measurements": ".sp-help h1",
}


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing_serious_on_any_page(open_page, server, scheme):
    store = Store(server.home)
    run, other = (store.create(RunConfig(max_steps=60, seed=seed), worker="test") for seed in (0, 1))
    for each in (run, other):
        Worker(store, store.get(each), "test").work()
    page = open_page("/data", color_scheme=scheme)
    found = []
    for path, drawn in DRAWN.items():
        page.goto(server.url + path.format(run=run, other=other))
        expect(page.locator(drawn).first).to_be_visible()
        broken = broken_at_rest(page)
        if broken:  # the page may run once more by itself and fade meanwhile: what is wrong is so again
            broken = [each for each in broken_at_rest(page) if each in broken]
        found += [(path, *each) for each in broken]
    assert not found, "\n".join(map(str, found))


def test_a_screen_reader_is_told_the_language_of_every_page(open_page, server):
    page = open_page("/runs", locale="zh-CN")
    html = page.locator("html")
    expect(html).to_have_attribute("lang", "zh-CN")
    page.get_by_text("English", exact=True).click()
    expect(html).to_have_attribute("lang", "en")
    page.goto(f"{server.url}/data?lang=zh")
    expect(html).to_have_attribute("lang", "zh-CN")


def broken_at_rest(page) -> list[tuple[str, str, str]]:
    at_rest(page)
    page.wait_for_function(SETTLED)
    return broken_rules(page)


def broken_rules(page) -> list[tuple[str, str, str]]:
    """Rule, node and what is wrong, of all that is serious or critical."""
    answer = Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        (rule["id"], node["target"], node["html"][:200], node.get("failureSummary", "")[:300])
        for rule in answer.response["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
        if not (rule["id"] == "button-name" and named_by_style(page, node["target"][0]))
    ]


def named_by_style(page, target: str) -> bool:
    """Whether a style's `content` names the button: browsers read it, axe does not."""
    return page.locator(target).and_(page.get_by_role("button", name=re.compile(r"\w"))).count() > 0
