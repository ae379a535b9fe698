"""Looking closer in the Lab: the network as a graph, a neuron, a layer in every picture, the cut."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest
from playwright.sync_api import expect

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import decode
from sparsecore.engine.training.events import Frame, Record, Scene
from sparsecore.engine.training.loop import train
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.store import Store
from tests.browser.waiting import at_rest, shows_its_run

pytestmark = pytest.mark.browser

LATER = ("bias", "spread")  # what the arrays are called that the first frames there were did not have
CARD = ".sc-neuron-card"


def ended(store: Store, *, without: tuple[str, ...] = (), **parameters) -> str:
    """A run in the store that was trained to its end here; `without` what its frames do not have."""
    config = RunConfig(**({"max_steps": 60, "density": 0.1, "device": "cpu"} | parameters))
    ticks, rows = itertools.count(), []
    for event in train(config, clock=lambda: next(ticks) * 0.02):
        match event:
            case Scene():
                rows.append(LogEntry("scene", 0, event.blob()))
            case Record(step, values):
                rows.append(LogEntry("record", step, json.dumps(values).encode()))
            case Frame(step, arrays, meta):
                arrays, meta = (
                    {name: value for name, value in part.items() if name.split(".")[0] not in without}
                    for part in (arrays, meta)
                )
                rows.append(LogEntry("frame", step, Frame(step, arrays, meta).blob()))
    run = store.create(config, worker="test")
    store.write(run, "test", event.step, rows)
    store.finish(run, "test", event.step, event.reason, event.detail, event.result)
    return run


def last_frame(store: Store, run: str) -> tuple[dict[str, np.ndarray], dict]:
    return decode(store.frame(run).payload)


def masks(arrays: dict[str, np.ndarray], meta: dict) -> list[np.ndarray]:
    return [
        np.unpackbits(arrays[f"mask.{i}"], count=entry["rows"] * entry["cols"], bitorder="little").reshape(
            entry["rows"], entry["cols"]
        )
        for i, entry in enumerate(meta["matrices"])
    ]


def open_run(open_page, run: str, **options):
    page = open_page(f"/?run={run}", **options)
    page.locator(".sc-live:not(.sc-waiting) .sc-matrix").first.wait_for()
    at_rest(page)
    return page


def open_graph(open_page, run: str, **options):
    page = open_run(open_page, run, **options)
    page.get_by_role("button", name=re.compile("^(graph|连接图)$")).click()
    page.locator(".sc-neuron").first.wait_for()
    return page


def neuron(page, layer: int, index: int):
    return page.locator(f'.sc-neuron[data-layer="{layer}"][data-index="{index}"]')


WATCH = """() => {
  window.moved = 0;
  new MutationObserver((changes) => changes.forEach(({ addedNodes, removedNodes }) => {
    window.moved += [...addedNodes, ...removedNodes].filter((node) => node.nodeType === 1).length;
  })).observe(document.querySelector('.sc-matrices'), { childList: true, subtree: true });
}"""
PICTURE = "() => document.querySelector('.sc-graph canvas').toDataURL()"
STILL = f"() => {{ const before = window.held; window.held = ({PICTURE})(); return window.held === before; }}"


def test_the_graph_follows_training_and_replay_in_place(open_page, server):
    page = open_page("/?task=sinc&max_steps=1000000&theta=0")
    page.locator(".sc-live:not(.sc-waiting) .sc-matrix canvas").first.wait_for()
    at_rest(page)
    greeted = page.url
    page.get_by_role("button", name=re.compile("^\\W*Train")).first.click()
    page.wait_for_url(lambda url: url != greeted)
    at_rest(page)
    shows_its_run(page)
    page.locator('.sc-pill[data-state="running"]').wait_for()
    page.get_by_role("button", name="graph", exact=True).click()
    neuron(page, 1, 3).click()
    page.locator(f"{CARD} canvas").wait_for()
    page.mouse.move(2, 2)  # the page scrolls later: what comes under a pointer at rest would stand out
    page.evaluate(WATCH)
    before = page.evaluate(PICTURE)
    page.wait_for_function(f"before => ({PICTURE})() !== before", arg=before)
    page.wait_for_timeout(2000)
    page.locator(".sc-replay input").focus()
    page.keyboard.press("Home")
    expect(page.locator(".sc-step")).to_have_text("step 0")
    # A busy browser draws the card's picture some time after the step is told; then it stays.
    page.wait_for_function(STILL, polling=1000)
    held = page.evaluate(PICTURE)
    page.wait_for_timeout(500)
    assert page.evaluate(PICTURE) == held
    assert page.evaluate("window.moved") == 0
    expect(page.locator(f"{CARD} b")).to_have_text("Neuron 4 after W1")


@pytest.mark.slow
def test_dead_neurons_are_those_without_a_kept_weight_in_or_out(open_page, server):
    store = Store(server.home)
    run = ended(store, method="layerwise")
    first, second, third = masks(*last_frame(store, run))
    alive = [into.any(axis=1) & out.any(axis=0) for into, out in ((first, second), (second, third))]
    dead = 32 - int(np.concatenate(alive).sum())
    assert dead > 0
    page = open_graph(open_page, run)
    expect(page.locator(".sc-neuron")).to_have_count(1 + 16 + 16 + 1)
    expect(page.locator(".sc-neuron-dead")).to_have_count(dead)
    expect(page.locator(".sc-dead")).to_contain_text(f"{dead} of 32 hidden neurons are dead")


@pytest.mark.slow
def test_the_output_neuron_computes_what_the_worker_drew(open_page, server):
    store = Store(server.home)
    run = ended(store, method="layerwise", density=0.4)
    fit = last_frame(store, run)[0]["picture.fit"]
    page = open_graph(open_page, run)
    neuron(page, 3, 0).click()
    told = page.locator(f"{CARD} .sc-dim").first
    expect(told).to_have_text(re.compile(r"^from \S+ to \S+ over the input$"))
    low, high = (float(number) for number in re.findall(r"-?[\d.]+(?:e-?\d+)?", told.text_content()))
    assert (low, high) == (pytest.approx(fit.min(), abs=6e-3), pytest.approx(fit.max(), abs=6e-3))


def test_a_neuron_is_a_row_before_it_and_a_column_after_it_by_keyboard_too(open_page, server):
    run = ended(Store(server.home), task="spirals", method="layerwise")
    page = open_graph(open_page, run)
    page.locator('.sc-neuron[tabindex="0"]').focus()
    page.keyboard.press("ArrowDown")
    expect(neuron(page, 1, 1)).to_be_focused()
    expect(page.locator(f"{CARD} b")).to_have_text("Neuron 2 after W1")
    expect(page.locator(f"{CARD} canvas")).to_be_visible()
    shown = ".sc-port:not([hidden]) .sc-mark:not([hidden])"
    matrices = page.locator(".sc-matrix")
    expect(matrices.nth(0).locator(shown).first).to_have_class("sc-mark sc-mark-row")
    expect(matrices.nth(1).locator(shown).first).to_have_class("sc-mark sc-mark-col")
    expect(matrices.nth(2).locator(shown)).to_have_count(0)
    page.keyboard.press("Enter")
    page.locator(".sc-replay input").focus()
    expect(neuron(page, 1, 1)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(f"{CARD} b")).to_have_text("Neuron 2 after W1")


@pytest.mark.slow
def test_a_layer_that_is_pressed_stands_out_everywhere_on_a_phone(open_page, server):
    store = Store(server.home)
    run = ended(store, method="layerwise")
    meta = last_frame(store, run)[1]
    page = open_run(open_page, run, width=390, has_touch=True)
    page.locator(".sc-matrix b").nth(1).tap()
    expect(page.locator(".sc-matrix.sc-lit")).to_have_count(1)
    expect(page.locator(".sc-matrix.sc-back")).to_have_count(2)
    expect(page.locator('.sc-spread button[aria-pressed="true"]')).to_have_text("W2")
    cut = 16 * 16 - meta["layers"][1]["kept"]
    expect(page.locator(".sc-told")).to_contain_text(f"{cut} weights below {meta['thresholds']['fc2']:.3g}")
    widths = (
        "document.querySelector('.sc-sparsity .js-plotly-plot')?.data.slice(0, 4).map((t) => t.line.width)"
    )
    page.wait_for_function(f"() => {{ const w = {widths}; return w && Math.max(...w) > Math.min(...w); }}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator(".sc-spread .sc-switch button").first.tap()
    expect(page.locator(".sc-matrix.sc-lit")).to_have_count(0)


@pytest.mark.slow
def test_the_histogram_shows_the_frame_that_is_looked_at(open_page, server):
    store = Store(server.home)
    run = ended(store, method="global")
    page = open_run(open_page, run)
    bars = "document.querySelector('.sc-spread .js-plotly-plot')?.data ?? []"
    page.wait_for_function(f"() => ({bars}).length === 2")
    arrays, _ = last_frame(store, run)
    kept, cut = (sum(arrays[f"spread.{part}.{i}"].astype(int) for i in range(3)) for part in ("kept", "cut"))
    before, after = (np.array(page.evaluate(f"({bars})[{place}].y")) for place in (0, 1))
    assert np.array_equal(after, kept)
    assert np.array_equal(before, kept + cut)
    replay = page.locator(".sc-replay input")
    replay.focus()
    page.keyboard.press("Home")
    expect(page.locator(".sc-told")).to_contain_text("Not known at this step")
    page.wait_for_function(f"() => ({bars}).length === 1")


@pytest.mark.slow
def test_a_run_without_biases_and_histograms_replays_and_says_so(open_page, server):
    run = ended(Store(server.home), without=LATER)
    page = open_graph(open_page, run)
    expect(page.locator(".sc-told")).to_have_text("This run was saved without these histograms.")
    neuron(page, 1, 0).click()
    expect(page.locator(f"{CARD} .sc-dim").first).to_contain_text("saved without biases")
    expect(page.locator(f"{CARD} canvas")).to_be_hidden()


@pytest.mark.slow
def test_where_there_is_no_graph_a_sentence_says_why(open_page, server):
    page = open_run(open_page, ended(Store(server.home), max_steps=2, size="paper"))
    expect(page.get_by_role("button", name="graph", exact=True)).to_be_disabled()
    expect(page.locator(".sc-why")).to_contain_text("60,500 edges are too many to draw")
