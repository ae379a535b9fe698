"""How soon a page stands, a lesson follows a lesson, and a control is answered, as a browser has it.

For a machine with nothing else to do: `python -m pytest -n 0 -s -m slow tests/browser/test_page_times.py`.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable

import pytest

from sparsecore.dashboard.pages import pages
from sparsecore.teaching.lessons import lessons
from tests.browser.waiting import at_rest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROUNDS = 5
PAINT_SECONDS, LESSON_SECONDS, CONTROL_SECONDS = 2.0, 1.0, 0.3
HEADING = ".stMain h3"
PICTURE = ".sc-live:not(.sc-waiting) .sc-matrix canvas"
ENDED = ".sc-pill[data-state=max_steps], .sc-pill[data-state=converged]"
LONG_RUN = "?lang=en&max_steps=1000000&theta=1e-12"
FIGURE = ".js-plotly-plot .main-svg"
# What is seen of a page: its own words, and where it opens with a figure, that.
OPENING = {
    "lab": (".stMain [role=radio]", PICTURE),
    "sweep": (HEADING, FIGURE),
    "lessons": (".st-key-lesson_question", FIGURE),
    "theory": (HEADING, FIGURE),
    "paper": (HEADING, FIGURE),
    "data": (HEADING, "[data-testid=stFileUploader]"),
}
SEEN = {page.path: OPENING.get(page.name, (HEADING,)) for page in pages()}
# When each of these was first on the page, in ms since it was asked for; told by the page itself, whose
# script may be busy for a second with that of the figures.
WATCH = """
const first = window.first = {};
const shown = (one) => document.querySelector(one)?.getClientRects().length;
const look = () => {
  for (const one of %s) if (!first[one] && shown(one)) first[one] = performance.now();
};
const begin = () => new MutationObserver(look).observe(document.body, {
  subtree: true, childList: true, attributes: true,
});
document.addEventListener("DOMContentLoaded", begin);
"""
# The ms from the next press to when something holds.
ANSWERED = """
() => { window.answered = new Promise((resolve) => {
  let asked;
  for (const press of ["pointerdown", "keydown"]) {
    addEventListener(press, () => { asked ??= performance.now(); }, { capture: true, once: true });
  }
  const check = setInterval(() => {
    if (asked === undefined || !(%s)) return;
    clearInterval(check);
    resolve(performance.now() - asked);
  }, 5);
}); }
"""


def answered(page, act: Callable[[], object], holds: str) -> float:
    """Seconds from the press in `act` to when the page has come to what `holds`, in JavaScript, says."""
    at_rest(page)
    page.evaluate(ANSWERED % holds)
    act()
    return page.evaluate("window.answered") / 1000


def tell(name: str, seconds: list[float]) -> float:
    """Print the median and the longest of these; gives the median."""
    middle = statistics.median(seconds)
    print(f"  {name:60} median {1000 * middle:6.0f} ms, longest {1000 * max(seconds):6.0f} ms")
    return middle


def test_in_an_empty_browser_every_page_says_what_it_is_within_two_seconds(open_page, server):
    warm = open_page("/?lang=en")  # begins the run that greets everybody: its core is free when it ends
    warm.locator(ENDED).wait_for()
    warm.context.close()
    print()
    medians = {}
    for name, seen in SEEN.items():
        rounds = [watch(open_page, f"{server.url}/{name}?lang=en", seen) for _ in range(ROUNDS)]
        for what in seen:
            medians[name, what] = tell(f"/{name} {what}", [round_[what] / 1000 for round_ in rounds])
    said = {name: medians[name, seen[0]] for name, seen in SEEN.items()} | {"picture": medians["", PICTURE]}
    assert max(said.values()) < PAINT_SECONDS, said


def watch(open_page, address: str, seen: tuple[str, ...]) -> dict[str, float]:
    """When each of these was first seen in a browser that has nothing of the page yet."""
    page = open_page("about:blank", url="")
    page.add_init_script(WATCH % json.dumps(seen))
    page.goto(address)
    for one in seen:
        page.locator(one).first.wait_for()
    found = page.evaluate("window.first")
    page.context.close()
    return found


def test_a_lesson_follows_a_lesson_within_a_second(open_page):
    page = open_page(f"/lessons?lang=en&lesson={lessons()[0].id}")
    page.locator(FIGURE).first.wait_for()  # the script of the figures is read once
    seconds = {}
    for lesson in lessons()[1:]:
        told = json.dumps(lesson.title.en)
        press = page.locator(".st-key-lesson_next button:visible")
        holds = f"document.querySelector('{HEADING}')?.textContent.includes({told})"
        seconds[lesson.id] = answered(page, press.click, holds)
    print("\n", {name: round(1000 * each) for name, each in seconds.items()})
    tell("from lesson to lesson", list(seconds.values()))
    assert max(seconds.values()) < LESSON_SECONDS


def test_every_control_of_the_lab_is_answered_within_three_tenths_of_a_second(open_page):
    page = open_page("/?lang=en")
    page.locator(ENDED).wait_for()  # from now on the view replays the run
    print("\nwhile the view replays a run:")
    replayed = control_medians(page)
    page.goto(page.url.partition("?")[0] + LONG_RUN)
    page.get_by_role("button", name=re.compile(r"\bTrain\b")).click()
    page.locator(".sc-pill[data-state=running]").wait_for()
    print("while the view shows a run that trains:")
    trained = control_medians(page)
    page.get_by_role("button", name="Stop").click()
    assert max(*replayed.values(), *trained.values()) < CONTROL_SECONDS, (replayed, trained)


def control_medians(page) -> dict[str, float]:
    """Seconds, by control, until the server has answered: until the address that it sets holds the value."""
    page.locator(PICTURE).first.wait_for()
    asked: dict[str, list[float]] = {}

    def ask(name: str, act: Callable[[], object], value: str) -> None:
        asked.setdefault(name, []).append(answered(page, act, f"/[?&]{value}(&|$)/.test(location.search)"))

    for turn in range(ROUNDS):
        for task, method, label in (("spirals", "global", "global"), ("sinc", "layerwise", "layer-wise")):
            ask("task", page.get_by_role("radio", name=task).click, f"task={task}")
            ask("method", page.get_by_role("radio", name=label, exact=True).click, f"method={method}")
        for language, name in (("zh", "中文"), ("en", "English")):
            ask("language", page.get_by_role("radio", name=name).click, f"lang={language}")
        thumb = page.locator(".stSlider input").first
        key, density = ("ArrowLeft", "0.4") if turn % 2 else ("ArrowRight", "0.5")
        ask("ρ", lambda thumb=thumb, key=key: thumb.press(key), f"density={density}")
    return {name: tell(name, seconds) for name, seconds in asked.items()}
