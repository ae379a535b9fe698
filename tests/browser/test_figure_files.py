"""Every figure leaves the page as PNG, SVG and CSV, by keyboard too, and a sweep as a report."""

from __future__ import annotations

import csv
import struct
from pathlib import Path

import pytest
from playwright.sync_api import expect

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training import frame
from sparsecore.engine.training.blobs import decode
from sparsecore.figures.reports.sweep import sweep_report
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.runs.workers.worker import Worker

pytestmark = pytest.mark.browser

STEPS = 60
SIDE = 16  # of the middle matrix of the small network
REPORT_SECONDS = 120  # ten figures and five megabytes of script on busy cores without a graphics card


def trained(server, **settings) -> str:
    """A finished small run in the server's store, trained in the test's own process."""
    store = Store(server.home)
    run = store.create(RunConfig.parse({"max_steps": STEPS, "theta": 0.0} | settings), worker="test")
    Worker(store, store.get(run), "test").work()
    store.close()
    return run


def saved(page, press, folder: Path) -> Path:
    """The file that a press downloads, under the name it suggests."""
    with page.expect_download() as download:
        press()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))


def size(png: Path) -> tuple[int, int]:
    data = png.read_bytes()
    assert data.startswith(b"\x89PNG")
    return struct.unpack(">II", data[16:24])


# -- the live view ----------------------------------------------------------------------------------------


def live_save(page, panel: str, item: str) -> None:
    page.locator(f".sc-{panel} > .sc-save").click()
    page.locator(f".sc-{panel} > .sc-save-menu").get_by_role("button", name=item).click()


def test_the_curves_of_a_run_are_saved_with_every_digit_of_the_log(open_page, server, tmp_path):
    run = trained(server)
    page = open_page(f"/?run={run}")
    page.locator(".sc-fit .main-svg").first.wait_for()
    file = saved(page, lambda: live_save(page, "fit", "CSV"), tmp_path)
    assert file.name == f"sparsecore-run-{run}-learning-step-{STEPS}.csv"
    last = [
        row
        for row in rows(file)
        if (row["panel"], row["series"], row["step"]) == ("RMSE", "test", str(STEPS))
    ]
    recorded = Store(server.home).get(run).result["metrics"]["test"]["rmse"]
    assert [float(row["value"]) for row in last] == [recorded]
    wide, high = size(saved(page, lambda: live_save(page, "fit", "PNG"), tmp_path))
    box = page.locator(".sc-fit .sc-chart").bounding_box()
    assert (wide, high) == (round(3 * box["width"]), round(3 * (box["height"] + 52)))
    svg = saved(page, lambda: live_save(page, "fit", "SVG"), tmp_path).read_text(encoding="utf-8")
    assert "Is it learning?" in svg
    assert f"seed 0 · step {STEPS}" in svg


def test_the_matrices_are_saved_cell_by_cell_and_as_rectangles_of_their_colours(open_page, server, tmp_path):
    run = trained(server, density=0.3)
    page = open_page(f"/?run={run}")
    page.locator(".sc-matrix").nth(2).wait_for()
    found = rows(saved(page, lambda: live_save(page, "matrices", "CSV"), tmp_path))
    store = Store(server.home)
    arrays, _ = decode(store.checkpoint(run)[1])
    weights = arrays["model.fc2.weight"]
    told = {
        (int(row["row (to neuron)"]) - 1, int(row["column (from neuron)"]) - 1): row
        for row in found
        if row["layer"] == "W2"
    }
    assert len(told) == SIDE * SIDE
    assert {place: float(row["weight w"]) for place, row in told.items()} == {
        (i, j): float(weights[i, j]) for i in range(SIDE) for j in range(SIDE)
    }
    assert all((row["density (1 = 100 %)"] == "1") == (float(row["weight w"]) != 0) for row in told.values())
    svg = saved(page, lambda: live_save(page, "matrices", "SVG"), tmp_path).read_text(encoding="utf-8")
    assert "<image" not in svg
    assert "W2 16×16" in svg
    assert svg.count('height="1" fill=') > SIDE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "columns", "points"), [("sinc", ["x"], 320), ("spirals", ["x₁", "x₂"], 48 * 48)]
)
def test_what_a_neuron_computes_is_saved(open_page, server, tmp_path, task, columns, points):
    page = open_page(f"/?run={trained(server, task=task, max_steps=5)}")
    page.locator(".sc-fit .main-svg").first.wait_for()
    page.get_by_role("button", name="graph", exact=True).click()
    page.locator('.sc-neuron[data-layer="1"][data-index="3"]').click()

    def save(item: str) -> Path:
        page.locator(".sc-neuron-card .sc-save").click()
        press = page.locator(".sc-neuron-card .sc-save-menu").get_by_role("button", name=item).click
        return saved(page, press, tmp_path)

    found = rows(save("CSV"))
    values = [float(list(row.values())[-1]) for row in found]
    assert len(found) == points
    assert [name for name in found[0] if name in columns] == columns
    assert all(0 < value < 1 for value in values)  # of a sigmoid
    assert max(values) > min(values)
    assert "Neuron 4 after W1" in save("SVG").read_text(encoding="utf-8")
    assert size(save("PNG")) == (3 * 480, 3 * (360 + 52))


@pytest.mark.slow
def test_a_matrix_of_many_cells_is_a_picture_in_its_svg_and_says_so(open_page, server, tmp_path, monkeypatch):
    monkeypatch.setattr(frame, "MAX_CELLS", 60)
    monkeypatch.setattr(frame, "SIDES", (4,))
    page = open_page(f"/?run={trained(server, size='paper', max_steps=2)}")
    port = page.locator(".sc-matrix").nth(1).locator(".sc-port.sc-opens:not([hidden])").first
    port.focus()
    page.keyboard.press("Enter")
    page.locator(".sc-full canvas").first.wait_for()
    page.locator(".sc-full .sc-save").click()
    item = page.locator(".sc-full .sc-save-menu").get_by_role("button", name="large matrices as images")
    file = saved(page, item.click, tmp_path)
    assert "-matrix-fc2-step-2.svg" in file.name
    assert "data:image/png;base64," in file.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_control_is_reached_and_left_by_keyboard_in_chinese(open_page, server, tmp_path):
    page = open_page(f"/?run={trained(server)}&lang=zh", width=390)
    page.locator(".sc-output .main-svg").first.wait_for()
    button = page.get_by_role("button", name="保存此图 网络的输出")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".sc-output .sc-save-menu button").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".sc-output .sc-save-menu button").first).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    file = saved(page, lambda: page.keyboard.press("Enter"), tmp_path)
    assert file.suffix == ".csv"
    assert {row["系列"] for row in rows(file)} == {"数据", "sin(x)/x", "网络"}


# -- the other pages --------------------------------------------------------------------------------------


def test_a_figure_of_a_page_is_saved_as_it_is_seen(open_page, tmp_path):
    page = open_page("/theory", color_scheme="dark")
    page.locator(".st-key-theory_spectrum .main-svg").first.wait_for()
    menu = page.locator(".st-key-save_theory_spectrum").get_by_role("button", name="Save figure")
    menu.focus()
    page.keyboard.press("Enter")
    wide, _ = size(saved(page, page.get_by_role("button", name="PNG: image").click, tmp_path))
    assert wide == round(3 * page.locator(".st-key-theory_spectrum .js-plotly-plot").bounding_box()["width"])
    svg = saved(page, page.get_by_role("button", name="SVG: vector graphic").click, tmp_path)
    assert svg.name == "sparsecore-theory-spectrum.svg"
    assert "Which supports are stationary for which L?" in svg.read_text(encoding="utf-8")
    found = rows(saved(page, page.get_by_role("button", name="CSV: the data").click, tmp_path))
    assert {"support", "f", "exact smallest L"} < found[0].keys()


@pytest.mark.slow
def test_a_picture_of_html_is_saved_as_boxes_and_letters(open_page, tmp_path):
    page = open_page("/lessons?lesson=noise")
    page.locator(".st-key-lesson_choice_0 button").click()
    page.locator(".sp-answers").wait_for()
    page.locator(".st-key-save_lesson_answers").get_by_role("button", name="Save figure").click()
    svg = saved(page, page.get_by_role("button", name="SVG: vector graphic").click, tmp_path)
    assert svg.name == "sparsecore-lesson-noise-answers.svg"
    drawn = svg.read_text(encoding="utf-8")
    shown = page.locator(".sp-answers li")
    assert drawn.count('rx="4" fill="rgba(128, 128, 128, 0.18)"') == shown.count()
    bars = shown.locator("i").evaluate_all("bars => bars.map(bar => getComputedStyle(bar).backgroundColor)")
    assert [drawn.count(f'rx="0" fill="{colour}"') for colour in bars] == [bars.count(each) for each in bars]
    assert ">your answer<" in drawn
    wide, _ = size(saved(page, page.get_by_role("button", name="PNG: image").click, tmp_path))
    assert wide == round(3 * (page.locator(".st-key-lesson_answers .stHtml").bounding_box()["width"] + 24))
    found = rows(saved(page, page.get_by_role("button", name="CSV: the data").click, tmp_path))
    assert [row["people"] for row in found] == shown.locator("em").all_text_contents()


def test_the_report_of_a_sweep_draws_offline_without_a_single_request(store: Store, draws_offline, tmp_path):
    spec = SweepSpec(task="sinc", densities=(1.0, 0.3), seeds=(0, 1), parameters={"max_steps": 3})
    sweep = stored.begin(store, spec)
    for run in store.list():
        store.claim(run.id, "test")
        Worker(store, store.get(run.id), "test").work()
    path = tmp_path / "sweep.html"
    path.write_text(sweep_report(store, stored.get(store, sweep)), encoding="utf-8")
    draws_offline(path, "#zh-weights", REPORT_SECONDS)
