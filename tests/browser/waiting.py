"""What a browser test waits for before it presses or looks."""

from __future__ import annotations

from playwright.sync_api import Page


def at_rest(page: Page) -> None:
    """The page's script has run: Streamlit drops a click that meets a run of it."""
    page.locator('[data-test-script-state="notRunning"]').wait_for()
