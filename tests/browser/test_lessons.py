"""A lesson in a real browser: opened, answered, its histogram seen, left for the next."""

import pytest
from playwright.sync_api import expect

from sparsecore.teaching.lessons import lessons
from tests.browser.waiting import at_rest

pytestmark = pytest.mark.browser


def test_a_lesson_is_opened_answered_and_remembered(open_page):
    page = open_page("/lessons?lang=en&lesson=hard-threshold")
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    expect(page.locator(".sp-answers")).to_have_count(0)
    at_rest(page)
    page.locator(".st-key-lesson_choice_1 button").click()
    expect(page.locator(".sp-answers .sp-right em")).to_have_text("1")
    expect(page.locator(".st-key-lesson_choice_1")).to_have_count(0)
    page.reload()  # a new session of the same browser
    expect(page.locator(".sp-answers .sp-right")).to_contain_text("your answer")
    at_rest(page)
    page.locator(".st-key-lesson_next button:visible").click()  # with a tooltip there is one more for phones
    expect(page.locator("h3")).to_contain_text(lessons()[1].title.en)
    page.wait_for_url(f"**lesson={lessons()[1].id}**")


@pytest.mark.slow
def test_a_lesson_with_a_run_opens_with_it_moving(open_page):
    page = open_page("/lessons?lang=zh&lesson=collapse")
    page.locator(".sc-live:not(.sc-waiting) .sc-step").wait_for()
    at_rest(page)
    expect(page.locator(".sc-curves")).to_be_hidden()  # curves would distract from the question
    page.locator(".st-key-lesson_choice_2 button").click()
    page.locator('.sc-pill[data-state="collapsed"]').wait_for()
    expect(page.locator(".sc-curves")).to_be_visible()
    assert "lesson=collapse" in page.url


@pytest.mark.slow
def test_a_link_of_a_lesson_brings_its_settings_into_the_lab(open_page):
    page = open_page("/lessons?lang=en&lesson=noise")
    at_rest(page)
    page.locator(".st-key-lesson_choice_2 button").click()
    expect(page.locator(".sp-answers")).to_be_visible()
    at_rest(page)
    page.locator(".st-key-onward_0 button").click()
    page.wait_for_url("**task=spirals**")
    assert "noise=1" in page.url
    assert "method=dense" in page.url


@pytest.mark.slow
def test_the_theory_page_draws_the_plane_and_its_basins(open_page):
    page = open_page("/theory?lang=en")
    expect(page.locator(".js-plotly-plot")).to_have_count(3)
    expect(page.locator(".katex").first).to_be_visible()
