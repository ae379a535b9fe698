"""A sweep from the page to its end, in a real browser: begun by a press, watched, and a run of it opened."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from tests.browser.waiting import at_rest

pytestmark = pytest.mark.browser

SECONDS = 120  # for two cores that other work shares
PLOT = "document.querySelector('.st-key-sweep_metric .js-plotly-plot')"
# Where the point of a run is on the screen.
POINT = f"""run => {{
  const plot = {PLOT};
  const has = (trace) => trace.meta === 'runs' && trace.customdata.some(([id]) => id === run);
  const at = plot.data.findIndex(has);
  const place = plot.data[at].customdata.findIndex(([id]) => id === run);
  const drawn = [...plot.querySelectorAll('.scatterlayer .trace')];
  const node = drawn.find((each) => each.__data__?.[0]?.trace.index === at);
  const box = node.querySelectorAll('path.point')[place].getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}}"""


def test_a_tiny_sweep_trains_to_its_end_and_a_click_on_a_point_opens_its_run(open_page, server):
    page = open_page("/sweep?task=sinc&max_steps=60")
    page.locator(".js-plotly-plot .main-svg").first.wait_for()  # the thesis, before anything is trained
    page.get_by_role(
        "button", name="layer-wise"
    ).click()  # no longer: points of two methods may cover each other
    for label, value in (("Densities ρ", "1, 0.4, 0.2"), ("Seeds", "0")):
        field = page.get_by_role("textbox", name=label)
        field.fill(value)
        field.press("Enter")
    expect(page.get_by_text("Runs: 3")).to_be_visible()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("Runs: 3, all done")).to_be_visible(timeout=SECONDS * 1000)
    expect(page.locator(".js-plotly-plot")).to_have_count(4)
    store = Store(server.home)
    sweep = stored.recent(store)[0]
    assert f"sweep={sweep.id}" in page.url
    runs = [cell.run.id for cell in stored.cells_of(store, sweep.spec)]
    page.wait_for_function(f"runs => {PLOT}?.data.filter((t) => t.meta === 'runs').length === 2")
    at_rest(page)  # the last cell draws the figure anew
    page.evaluate(f"() => {PLOT}.scrollIntoView({{ block: 'center' }})")
    page.wait_for_timeout(500)
    page.mouse.click(*page.evaluate(POINT, runs[1]))
    page.wait_for_url(f"**run={runs[1]}**")
    expect(page.locator(".sc-setting")).to_contain_text("global · ρ 0.4 (60 % sparse) · seed 0")
    page.get_by_role("link", name="Sweep").first.click()
    page.locator(".sp-grid").wait_for()
    assert f"sweep={sweep.id}" in page.url
