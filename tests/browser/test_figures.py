"""Figures that are opened by hand: every weight of a large matrix, another run beside this one."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training import frame
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker

pytestmark = pytest.mark.browser


def trained(server, **settings) -> str:
    """A finished small run in the server's store, trained in the test's own process."""
    store = Store(server.home)
    run = store.create(RunConfig(max_steps=60, **settings), worker="test")
    Worker(store, store.get(run), "test").work()
    store.close()
    return run


def test_a_matrix_of_block_means_opens_with_every_weight(open_page, server, monkeypatch):
    monkeypatch.setattr(frame, "MAX_CELLS", 60)
    monkeypatch.setattr(frame, "SIDES", (4,))
    page = open_page(f"/?run={trained(server)}")
    matrix = page.locator(".sc-matrix").nth(1)
    port = matrix.locator(".sc-port.sc-opens:not([hidden])").first
    port.focus()
    page.keyboard.press("Enter")
    full = page.locator(".sc-full .sc-port:not([hidden]) canvas")
    full.wait_for()
    rows, cols = (int(n) for n in matrix.locator("b").text_content().split()[-1].split("×"))
    assert full.evaluate("node => [node.height, node.width]") == [rows, cols]
    expect(page.locator(".sc-full header")).to_contain_text("as saved at step 60")
    full.hover()
    expect(page.locator(".sc-full .sc-tip")).to_contain_text("kept in")
    page.keyboard.press("Escape")
    page.locator(".sc-full[open]").wait_for(state="detached")
    port.click()
    page.locator(".sc-full[open]").wait_for()
    page.locator(".sc-full").get_by_role("button", name="Close").click()
    page.locator(".sc-full[open]").wait_for(state="detached")


@pytest.mark.slow
def test_another_run_of_the_task_is_drawn_beside_this_one(open_page, server):
    other = trained(server, method="global", density=0.3)
    page = open_page(f"/?run={trained(server, density=0.3)}")
    page.locator(".sc-compare select").select_option(other)
    page.locator(".sc-fit .legendtext", has_text="global ρ 0.3").wait_for()
    page.locator(".sc-compare select").select_option("")
    page.locator(".sc-fit .legendtext", has_text="global ρ 0.3").wait_for(state="detached")
