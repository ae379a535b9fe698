"""Figures that are opened by hand: every weight of a large matrix, another run beside this one."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training import frame
from sparsecore.engine.training.blobs import decode, encode
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import log
from sparsecore.runs.workers.worker import Worker
from sparsecore.words import LANGUAGES, words

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


def with_unknown_picture(server, run: str) -> str:
    """The run, with a scene as only a later version writes it."""
    store = Store(server.home)
    arrays, meta = decode(store.entries(run, ["scene"])[0].payload)
    with store.engine.begin() as connection:
        row = update(log).where(log.c.run_id == run, log.c.kind == "scene")
        connection.execute(row.values(payload=encode(arrays, meta | {"kind": "hologram"})))
    store.close()
    return run


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_picture_of_an_unknown_kind_says_so_in_its_place(open_page, server, lang: str):
    run = with_unknown_picture(server, trained(server))
    sentence = words(lang)["live.picture.unknown"].format(kind="hologram")
    page = open_page(f"/?run={run}&lang={lang}")
    for panel in (".sc-data", ".sc-output"):
        expect(page.locator(f"{panel} .sc-plot")).to_have_text(sentence)
        expect(page.locator(f"{panel} .sc-save")).to_be_hidden()
    expect(page.locator(".sc-why")).to_have_text(sentence)
    expect(page.locator(".sc-matrix canvas").first).to_be_visible()
    expect(page.locator(".sc-fit .js-plotly-plot")).to_be_visible()
    page.goto(f"{server.url}/compare?a={run}&b={trained(server)}&lang={lang}")
    outputs = page.locator(".cp-output .sc-plot")
    expect(outputs.first).to_have_text(sentence)
    expect(outputs.last.locator(".js-plotly-plot")).to_be_visible()


@pytest.mark.slow
def test_another_run_of_the_task_is_drawn_beside_this_one(open_page, server):
    other = trained(server, method="global", density=0.3)
    page = open_page(f"/?run={trained(server, density=0.3)}")
    page.locator(".sc-compare select").select_option(other)
    page.locator(".sc-fit .legendtext", has_text="global ρ 0.3").wait_for()
    page.locator(".sc-compare select").select_option("")
    page.locator(".sc-fit .legendtext", has_text="global ρ 0.3").wait_for(state="detached")
