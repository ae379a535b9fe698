"""Two browsers and a teacher on one server: everybody watches, each commands his own."""

from __future__ import annotations

import os
import re

import pytest
from playwright.sync_api import expect

from sparsecore.runs.store.store import Store
from tests.browser.conftest import end, start
from tests.browser.test_lab import (
    LONG,
    press,
    run_id,
    step_of,
    train,
    wait_for_state,
    wait_for_steps,
)

pytestmark = pytest.mark.browser

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory):
    """A server with a teacher's password."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SPARSECORE_TEACHER_PASSWORD", PASSWORD)
        running = start(tmp_path_factory.mktemp("school"))
    assert "SPARSECORE_TEACHER_PASSWORD" not in os.environ
    yield running
    end(running)
    store = Store(running.home)
    for run in store.list(states=["running", "paused", "queued"]):
        store.command(run.id, "stop")


def button(page, name: str):
    return page.get_by_role("button", name=re.compile(rf"^\W*{name}\b|\b{name} \w$")).first


def become_teacher(page, password: str) -> None:
    page.get_by_role("button", name=re.compile("You")).first.click()
    field = page.get_by_label("Teacher's password")
    field.fill(password)
    field.press("Enter")


def test_the_second_watches_and_cannot_pause_and_the_teacher_can(open_page, school):
    first = open_page(f"/?task=sinc&{LONG}", url=school.url)
    wait_for_steps(first, -1)
    run = train(first)
    wait_for_steps(first, 20)

    second = open_page(f"/?run={run}", url=school.url)
    seen = wait_for_steps(second, 20)
    wait_for_steps(second, seen)  # it moves before him too
    for name in ("Pause", "Stop", "Freeze"):
        expect(button(second, name)).to_be_disabled()
        expect(button(first, name)).to_be_enabled()
    second.get_by_text("This run belongs to another user").wait_for()
    button(second, "Pause").hover(force=True)
    second.get_by_text("This belongs to another user. Only its owner").wait_for()
    second.keyboard.press("p")  # the key of a button that cannot be pressed
    second.wait_for_timeout(1000)
    assert Store(school.home).get(run).state == "running"

    become_teacher(second, "guessed")
    second.get_by_text("That is not correct.").wait_for()
    second.get_by_label("Teacher's password").fill(PASSWORD)
    second.keyboard.press("Enter")
    second.get_by_role("button", name="Give up these rights").wait_for()
    second.keyboard.press("Escape")
    press(second, "Pause")
    wait_for_state(first, "paused")
    held = step_of(first)
    press(first, "Resume")
    wait_for_steps(first, held)
    press(first, "Stop")
    wait_for_state(first, "stopped")


@pytest.mark.slow
def test_a_run_is_still_ones_own_after_a_reload_and_in_a_new_tab(open_page, school):
    page = open_page(f"/?task=spirals&{LONG}", url=school.url)
    wait_for_steps(page, -1)
    run = train(page)
    owner = Store(school.home).get(run).owner
    assert owner
    page.reload()
    wait_for_steps(page, 5)
    expect(button(page, "Pause")).to_be_enabled()
    tab = page.context.new_page()
    tab.goto(f"{school.url}/?run={run}")
    wait_for_steps(tab, 5)
    press(tab, "Stop")
    wait_for_state(page, "stopped")
    (cookie,) = (each for each in page.context.cookies() if each["name"].startswith("sparsecore_owner_"))
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert owner not in cookie["value"]
    assert "sparsecore_owner" not in page.evaluate("document.cookie")
    assert run_id(page) == run
