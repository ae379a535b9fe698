"""A run leaves one server as a file and replays on another, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from sparsecore.config import RunConfig
from sparsecore.runs.store import Store
from sparsecore.runs.worker import Worker

pytestmark = pytest.mark.browser


def trained(store: Store) -> str:
    run = store.create(RunConfig.parse({"max_steps": 200, "theta": 0.0, "seed": 5}), worker="w")
    Worker(store, store.get(run), "w").work()
    return run


def test_a_run_is_saved_brought_back_and_replayed(open_page, server, tmp_path):
    store = Store(server.home)
    run = trained(store)
    page = open_page("/runs")
    page.get_by_role("combobox").last.click()
    page.get_by_role("option").filter(has_text=run).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the run").click()
    file = tmp_path / "run.zip"
    download.value.save_as(file)
    assert download.value.suggested_filename == f"run-{run}.zip"
    store.delete(run)
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text(f"Run {run} is here.")).to_be_visible()
    assert (store.get(run).state, store.get(run).origin) == ("ended", "import")
    page.goto(f"{server.url}/?run={run}")
    expect(page.locator(".sc-step")).to_have_text("step 200")
    assert page.locator(".sc-plates figure").count() == 3
    broken = tmp_path / "broken.zip"
    broken.write_bytes(file.read_bytes()[:-1] + b"x")
    page.goto(f"{server.url}/runs?lang=zh")
    page.locator("input[type=file]").set_input_files(broken)
    expect(page.get_by_text("文件已损坏或不完整")).to_be_visible()
