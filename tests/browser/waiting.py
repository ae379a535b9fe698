"""What a browser test waits for before it presses or looks."""

from __future__ import annotations

import re

from playwright.sync_api import Page

SHOWS_ITS_RUN = """() => {
  const named = new URLSearchParams(location.search).get('run');
  return named && document.querySelector(`.sc-live[data-run="${CSS.escape(named)}"]:not(.sc-waiting)`);
}"""


def at_rest(page: Page) -> None:
    """The page's script has run: Streamlit drops a click that meets a run of it."""
    page.locator('[data-test-script-state="notRunning"]').wait_for()


def open_list(page: Page, name: str | re.Pattern) -> None:
    """Open a list of options. A scroll would close it: the one that brings it in is over before."""
    at_rest(page)
    field = page.get_by_role("combobox", name=name)
    field.scroll_into_view_if_needed()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    field.click()


def shows_its_run(page: Page) -> None:
    """The live view shows the run that the address names, no longer one before, which may train as well."""
    page.wait_for_function(SHOWS_ITS_RUN)
