"""Two runs side by side: the numbers under the pictures, one step for both, the address that holds it all."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.frame_reading import Frame
from sparsecore.runs.insights.masks import count_overlap
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker
from tests.browser.waiting import at_rest

pytestmark = pytest.mark.browser

DRAWN = ".cp-view canvas, .cp-view .js-plotly-plot"


def trained(store: Store, **settings) -> str:
    """A finished small run, trained in the test's own process."""
    run = store.create(RunConfig(max_steps=400, theta=0, **settings), worker="test")
    Worker(store, store.get(run), "test").work()
    return run


def counted(store: Store, *runs: str) -> list[list[int]]:
    """What the last masks of two runs share, a matrix each, in the order of the picture's numbers."""
    first, second = (Frame.read(store.frame(run).payload).matrices for run in runs)
    return [
        list(count_overlap(a.array("mask"), b.array("mask"), int(np.prod(a.shape))))
        for a, b in zip(first, second, strict=True)
    ]


def expect_drawn(page, counts: list[list[int]]) -> None:
    """The numbers under each picture, as the reader sees them, are these once the page has been told."""
    numbers = page.locator(".sc-matrix .cp-counts > :nth-child(-n+4)")
    expect(numbers).to_have_text([f"{count:,}" for row in counts for count in row])


def test_two_runs_share_one_step_and_the_address_holds_it(open_page, server):
    store = Store(server.home)
    one, other = trained(store, method="global"), trained(store)
    page = open_page(f"/compare?a={one}&b={other}")
    page.locator(".cp-view .js-plotly-plot").nth(4).wait_for()
    expect(page.locator(".cp-card .sc-pill")).to_have_text(["Finished", "Finished"])
    expect_drawn(page, counted(store, one, other))
    page.evaluate(f"() => {{ window.nodes = [...document.querySelectorAll('{DRAWN}')]; }}")
    before = page.locator(".cp-replay .sc-at").text_content()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".cp-replay .sc-at")).not_to_have_text(before)
    page.wait_for_url(re.compile(r"[?&]step=\d+"))
    page.get_by_role("button", name="Play the replay").click()
    expect(page.locator(".cp-replay .sc-at")).not_to_have_text(
        page.locator(".cp-replay .sc-at").text_content()
    )
    page.get_by_role("button", name="Pause the replay").click()
    assert page.evaluate("() => window.nodes.every(node => node.isConnected && node.clientHeight > 0)")
    at_rest(page)
    page.get_by_role("button", name="Swap").click()
    page.wait_for_url(re.compile(rf"a={other}&b={one}|b={one}.*a={other}"))
    page.locator(".cp-replay input").press("End")
    expect(page.locator(".cp-replay .sc-at")).to_have_text("step 400")
    expect_drawn(page, counted(store, other, one))
    store.close()
