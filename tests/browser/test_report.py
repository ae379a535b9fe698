"""The report in a browser that is offline: it draws, and asks nobody for anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparsecore.report import report
from sparsecore.reproduce import gather
from sparsecore.reproduce.pictures import figures_of
from sparsecore.reproduce.plan import Plan
from sparsecore.runs.store import Store
from sparsecore.runs.worker import Worker

pytestmark = pytest.mark.browser

PATIENCE_SECONDS = 120  # ten figures and five megabytes of script on busy cores without a graphics card


@pytest.fixture
def path(store: Store, tmp_path: Path) -> Path:
    """A report whose figures are there, of a table that is mostly still to be run."""
    plan = Plan("3-1", (0,), "demo", parameters={"max_steps": 3})
    shots = [shot for figure in figures_of("3-1") for shot in figure.shots]
    configs = [gather.config_of(plan, shot) for shot in shots]
    for config in {config.digest(): config for config in configs}.values():
        run = store.create(config, worker="test")
        Worker(store, store.get(run), "test").work()
    written = tmp_path / "report.html"
    written.write_text(report(gather.found(store, plan), gather.pictures(store, plan)), encoding="utf-8")
    return written


def test_it_draws_offline_without_a_single_request(path: Path, browser):
    context = browser.new_context(viewport={"width": 390, "height": 800}, offline=True)
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.set_default_timeout(PATIENCE_SECONDS * 1000)
    page.goto(path.as_uri(), wait_until="commit")
    page.locator("#zh-3-5 .main-svg").first.wait_for()
    assert page.locator(".js-plotly-plot").count() == 10
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert [address for address in asked if not address.startswith("blob:")] == [path.as_uri()]
    assert complaints == []
    context.close()
