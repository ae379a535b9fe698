"""How soon a page stands, a lesson follows a lesson, and a control is answered, as a browser has it.

For a machine with nothing else to do: `python -m pytest -n 0 -s -m slow tests/browser/test_page_times.py`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest

from sparsecore.lessons import lessons

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROUNDS = 5
PAINT_SECONDS, LESSON_SECONDS, CONTROL_SECONDS = 2.0, 1.0, 0.3
HEADING = ".stMain h3"
MEANING = {  # what has to be seen before a page says anything
    "": ".sc-live:not(.sc-waiting) .sc-matrix canvas",
    "sweep": ".js-plotly-plot .main-svg",
    "compare": HEADING,
    "lessons": ".st-key-lesson_question",
    "theory": ".katex",
    "paper": ".stMain table",
    "challenge": HEADING,
    "runs": HEADING,
    "data": "[data-testid=stFileUploader]",
}


def rest(page) -> None:
    """Streamlit drops a click that meets a run of the script."""
    page.locator('[data-test-script-state="notRunning"]').wait_for()


def taken(act: Callable[[], object], seen: Callable[[], object]) -> float:
    """Seconds from what is done to what is then seen."""
    began = time.perf_counter()
    act()
    seen()
    return time.perf_counter() - began


def tell(name: str, seconds: list[float]) -> float:
    """Print the median and the longest of these; gives the median."""
    middle = statistics.median(seconds)
    print(f"  {name:24} median {1000 * middle:6.0f} ms, longest {1000 * max(seconds):6.0f} ms")
    return middle


def test_every_page_of_a_warm_server_stands_within_two_seconds_in_an_empty_browser(open_page, server):
    open_page("/?lang=en").locator(MEANING[""]).first.wait_for()  # the server is warm, and a run trains
    medians = {}
    print()
    for name, meaning in MEANING.items():
        seconds = []
        for _ in range(ROUNDS):
            page = open_page("about:blank", url="")
            seconds.append(
                taken(
                    lambda page=page, name=name: page.goto(
                        f"{server.url}/{name}?lang=en", wait_until="commit"
                    ),
                    lambda page=page, meaning=meaning: page.locator(meaning).first.wait_for(),
                )
            )
            page.context.close()
        medians[name] = tell(f"/{name}", seconds)
    assert max(medians.values()) < PAINT_SECONDS, medians


def test_a_lesson_follows_a_lesson_within_a_second(open_page):
    page = open_page(f"/lessons?lang=en&lesson={lessons()[0].id}")
    page.locator(MEANING["lessons"]).wait_for()
    seconds = {}
    for lesson in lessons()[1:]:
        rest(page)
        title = page.locator(HEADING, has_text=lesson.title.en)
        press = page.locator(".st-key-lesson_arrow_next button:visible")
        seconds[lesson.id] = taken(press.click, lambda title=title: (title.wait_for(), rest(page)))
    print("\n", {name: round(1000 * each) for name, each in seconds.items()})
    tell("from lesson to lesson", list(seconds.values()))
    assert max(seconds.values()) < LESSON_SECONDS


def test_every_control_of_the_lab_is_answered_within_three_tenths_of_a_second(open_page):
    page = open_page("/?lang=en")
    page.locator(MEANING[""]).first.wait_for()
    asked: dict[str, list[float]] = {}

    def ask(name: str, act: Callable[[], object], url: str) -> None:
        """Until the server has answered: the address that it sets holds the value."""
        rest(page)
        asked.setdefault(name, []).append(taken(act, lambda: page.wait_for_url(f"**{url}**")))

    for turn in range(ROUNDS):
        for task, method in (("spirals", "global"), ("sinc", "layerwise")):
            ask("task", page.get_by_role("radio", name=task).click, f"task={task}")
            ask("method", page.get_by_role("radio", name=method, exact=True).click, f"method={method}")
        for language, name in (("zh", "中文"), ("en", "English")):
            ask("language", page.get_by_role("radio", name=name).click, f"lang={language}")
        rest(page)
        thumb = page.locator(".stSlider input").first
        before = page.url
        began = time.perf_counter()
        thumb.press("ArrowLeft" if turn % 2 else "ArrowRight")
        page.wait_for_url(lambda url, before=before: url != before)
        asked.setdefault("ρ", []).append(time.perf_counter() - began)
    print()
    medians = {name: tell(name, seconds) for name, seconds in asked.items()}
    assert max(medians.values()) < CONTROL_SECONDS, medians
