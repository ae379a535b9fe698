"""What a browser test waits for before it presses or looks."""

from __future__ import annotations

from playwright.sync_api import Page

SHOWS_ITS_RUN = """() => {
  const named = new URLSearchParams(location.search).get('run');
  return named && document.querySelector(`.sc-live[data-run="${CSS.escape(named)}"]:not(.sc-waiting)`);
}"""


def at_rest(page: Page) -> None:
    """The page's script has run: Streamlit drops a click that meets a run of it."""
    page.locator('[data-test-script-state="notRunning"]').wait_for()


def shows_its_run(page: Page) -> None:
    """The live view shows the run that the address names, no longer one before, which may train as well."""
    page.wait_for_function(SHOWS_ITS_RUN)
