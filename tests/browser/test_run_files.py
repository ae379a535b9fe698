"""A run leaves one server as a file and replays on another, in a real browser."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker
from tests.browser.conftest import PATIENCE_SECONDS
from tests.browser.waiting import at_rest, open_list

pytestmark = pytest.mark.browser


def trained(store: Store) -> str:
    run = store.create(RunConfig.parse({"max_steps": 200, "theta": 0.0, "seed": 5}), worker="w")
    Worker(store, store.get(run), "w").work()
    return run


def choose(page, run: str) -> None:
    """Choose a run by its name, as somebody without a mouse does."""
    open_list(page, "Selected run")
    page.get_by_role("option").filter(has_text=run).click()
    page.keyboard.press("Escape")  # the list of several runs stays open after a choice
    at_rest(page)


def test_a_run_is_named_deleted_and_brought_back_by_undo(open_page, another_server, tmp_path):
    server = another_server(tmp_path)  # nobody else looks at it: what the test has trained is the visitor's
    store = Store(server.home)
    run = trained(store)
    page = open_page("/runs", url=server.url)
    choose(page, run)
    name = page.get_by_role("textbox", name="Name", exact=True)
    name.fill("Best <b>of</b> all")
    name.press("Enter")
    page.get_by_role("button", name="Pin", exact=True).focus()  # the field is left, as by a click elsewhere
    deadline = time.monotonic() + PATIENCE_SECONDS
    while store.get(run).name is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert store.get(run).name == "Best <b>of</b> all"
    at_rest(page)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Best <b>of</b> all deleted.")).to_be_visible()
    assert store.get(run) is None
    at_rest(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("deleted.")).to_have_count(0)
    assert (store.get(run).state, store.get(run).name) == ("ended", "Best <b>of</b> all")


def test_a_run_is_saved_brought_back_and_replayed(open_page, server, tmp_path):
    store = Store(server.home)
    run = trained(store)
    page = open_page("/runs")
    choose(page, run)
    with page.expect_download() as download:
        page.get_by_role("button", name="Whole run").click()
    file = tmp_path / "run.zip"
    download.value.save_as(file)
    assert download.value.suggested_filename == f"run-{run}.zip"
    store.delete(run)
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text(f"Imported as run {run}.")).to_be_visible()
    assert (store.get(run).state, store.get(run).origin) == ("ended", "import")
    page.goto(f"{server.url}/?run={run}")
    expect(page.locator(".sc-step")).to_have_text("step 200")
    assert page.locator(".sc-plates figure").count() == 3
    broken = tmp_path / "broken.zip"
    broken.write_bytes(file.read_bytes()[:-1] + b"x")
    page.goto(f"{server.url}/runs?lang=zh")
    page.locator("input[type=file]").set_input_files(broken)
    expect(page.get_by_text("文件已损坏或不完整")).to_be_visible()


@pytest.mark.slow
def test_the_uploader_speaks_the_language_of_the_page(open_page, tmp_path):
    page = open_page("/runs?lang=zh")
    uploader = page.get_by_test_id("stFileUploader")
    expect(uploader.get_by_role("button", name="选择文件", exact=True)).to_be_visible()
    expect(uploader).to_match_aria_snapshot("- text: ZIP，最大 200 MB")
    note = tmp_path / "note.txt"
    note.write_text("no run")
    uploader.locator("input").set_input_files(note)
    expect(uploader).to_match_aria_snapshot("- text: 文件被拒绝。要求：ZIP，最大 200 MB。")
