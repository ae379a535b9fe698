"""Keys of the Lab: Space, R and the arrows, where nothing is typed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from sparsecore.runs.store.store import Store
from tests.browser.waiting import at_rest, shows_its_run

pytestmark = pytest.mark.browser

LONG = "max_steps=1000000&theta=0"
STEP = "(document.querySelector('.sc-step')?.textContent || '')"


def press(page, key: str) -> None:
    """Press a key on the page at rest: Streamlit drops what meets a run of the script."""
    at_rest(page)
    page.keyboard.press(key)


def state(page, name: str) -> None:
    page.locator(f'.sc-pill[data-state="{name}"]').wait_for()


def runs(server) -> int:
    return len(Store(server.home).list())


def step(page) -> int:
    return int(re.sub(r"\D", "", page.locator(".sc-step").text_content()))


def test_space_trains_pauses_and_goes_on_r_resets_and_the_arrows_replay(open_page, server):
    page = open_page(f"/?task=spirals&{LONG}")
    expect(page.locator(".sc-keys")).to_contain_text("SpaceTP")
    page.wait_for_function(f"() => {STEP}")
    before = runs(server)
    press(page, "Space")
    shows_its_run(page)  # until then the welcome's run is shown, which may run too
    state(page, "running")
    page.wait_for_function(f"() => Number({STEP}.replace(/\\D/g, '')) > 200")
    press(page, "Space")
    state(page, "paused")
    page.locator(".st-key-do_resume button:enabled:visible").wait_for()
    page.wait_for_timeout(1000)  # the frame of the step at which it stopped comes after the word
    held = step(page)
    press(page, "ArrowLeft")
    page.wait_for_function(f"text => {STEP} !== text", arg=f"step {held:,}")
    earlier = step(page)
    assert earlier < held
    press(page, "ArrowLeft")
    page.wait_for_function(f"text => {STEP} !== text", arg=f"step {earlier:,}")
    press(page, "ArrowRight")
    page.wait_for_function(f"text => {STEP} === text", arg=f"step {earlier:,}")
    press(page, "Space")
    state(page, "running")
    assert runs(server) == before + 1
    press(page, "r")
    state(page, "paused")
    page.wait_for_function(f"() => {STEP} === 'step 0'")
    assert runs(server) == before + 2


@pytest.mark.slow
def test_keys_that_are_typed_or_press_a_focused_button_do_nothing_else(open_page, server):
    page = open_page(f"/?task=sinc&{LONG}")
    page.wait_for_function(f"() => {STEP}")
    page.get_by_test_id("stPopover").first.get_by_role("button").click()  # More
    seed = page.get_by_role("spinbutton", name="Seed")
    before = runs(server)
    seed.focus()
    for key in ("Space", "r", "ArrowLeft"):
        press(page, key)
    page.keyboard.press("Escape")
    density = page.get_by_role("slider").first
    density.focus()
    press(page, "Space")
    press(page, "ArrowLeft")  # of the slider alone
    page.wait_for_url(lambda url: "density=0.3" in url)
    assert runs(server) == before
    train = page.locator(".st-key-do_train button:visible")
    train.focus()
    press(page, "Tab")  # by keyboard: from here on a focused button takes Space itself
    press(page, "Shift+Tab")
    press(page, "Space")
    shows_its_run(page)  # until then the welcome's run is shown, which may run too
    state(page, "running")
    assert runs(server) == before + 1
    page.locator(".st-key-do_pause button:enabled:visible").click()  # by mouse: Space is not the button's
    state(page, "paused")
    press(page, "Space")
    state(page, "running")
    page.wait_for_timeout(500)
    state(page, "running")
    assert runs(server) == before + 1
