"""The first ten minutes of a new user, in a real browser on a real server."""

from __future__ import annotations

import io
import json
import re
import time

import pytest
from playwright.sync_api import expect

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import decode
from sparsecore.engine.training.frame_reading import Frame
from sparsecore.runs.files.archive import import_run
from sparsecore.runs.store.store import Store
from tests.browser.waiting import at_rest, shows_its_run
from tests.older_data import older_archive

pytestmark = pytest.mark.browser

LONG = "max_steps=1000000&theta=0"
STEP = "(document.querySelector('.sc-step')?.textContent || '')"

# Counts every node of a plot or a matrix that comes or goes, and every look at one without height.
WATCH_NODES = """() => {
  const drawn = '.sc-port canvas, .js-plotly-plot, .js-plotly-plot .main-svg';
  window.seen = { added: 0, removed: 0, blank: 0, looks: 0 };
  const count = (nodes) => [...nodes].filter((n) => n.nodeType === 1)
    .reduce((sum, n) => sum + n.matches(drawn) + n.querySelectorAll(drawn).length, 0);
  new MutationObserver((changes) => changes.forEach((change) => {
    window.seen.added += count(change.addedNodes);
    window.seen.removed += count(change.removedNodes);
  })).observe(document.querySelector('.sc-live'), { childList: true, subtree: true });
  window.steps = new Set();
  const look = () => {
    window.seen.looks += 1;
    for (const node of document.querySelectorAll('.sc-port:not([hidden]) canvas, .js-plotly-plot')) {
      if (!node.clientHeight) window.seen.blank += 1;
    }
    window.steps.add(document.querySelector('.sc-step').textContent);
    requestAnimationFrame(look);
  };
  look();
}"""


# The numbers of pixels of each colour in the mask of each matrix, in order.
MASKS = """() => [...document.querySelectorAll('.sc-matrix')].map((each) => {
  const canvas = each.querySelectorAll('.sc-port:not([hidden]) canvas')[1];
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const found = {};
  for (let at = 0; at < data.length; at += 4) {
    const colour = data.slice(at, at + 3).join();
    found[colour] = (found[colour] ?? 0) + 1;
  }
  return Object.values(found).sort((a, b) => a - b);
})"""


# Counts the charts that are hidden because they show the run before.
NOTE_OLD = """() => {
  const charts = [...document.querySelectorAll('.sc-chart')];
  window.old = 0;
  new MutationObserver(() => {
    window.old = Math.max(window.old, charts.filter((node) => node.classList.contains('sc-old')).length);
  }).observe(document.querySelector('.sc-live'), { attributeFilter: ['class'], subtree: true });
}"""

# Whether every bar of kept weights begins at the threshold or beyond it, and one at the threshold.
KEPT_OUTSIDE = """() => {
  const { data, layout } = document.querySelector('.sc-spread .sc-chart');
  const t = Math.max(...(layout?.shapes ?? []).map(({ x0 }) => x0));
  const { x, y, width } = data?.at(-1) ?? { x: [] };
  const sides = [...x.keys()].filter((bin) => y[bin]).map((bin) => Math.abs(x[bin]) - width[bin] / 2);
  return sides.length > 0 && sides.every((side) => side > t - 1e-6) && sides.some((side) => side < t + 1e-6);
}"""


def step_of(page) -> int:
    text = page.locator(".sc-step").text_content() or ""
    digits = re.sub(r"\D", "", text)
    return int(digits) if digits else -1


def press(page, name: str) -> None:
    """Press a button of the page at rest: Streamlit drops a click that meets a run of the script."""
    at_rest(page)
    page.get_by_role("button", name=re.compile(rf"^\W*{name}\b|\b{name} \w$")).first.click()


def wait_for_state(page, state: str, seconds: float = 60) -> None:
    page.locator(f'.sc-pill[data-state="{state}"]').wait_for(timeout=seconds * 1000)


def wait_for_steps(page, more_than: int = 0, seconds: float = 60) -> int:
    past = f"least => {STEP} && Number({STEP}.replace(/\\D/g, '')) > least"
    page.wait_for_function(past, arg=more_than, timeout=seconds * 1000)
    return step_of(page)


def run_id(page) -> str:
    return re.search(r"run=(\w+)", page.url).group(1)


def train(page) -> str:
    """Press Train and wait for its first picture; gives the run's id."""
    before = page.url
    press(page, "Train")
    page.wait_for_url(lambda url: url != before and "run=" in url)
    shows_its_run(page)
    return run_id(page)


def open_more(page) -> None:
    page.get_by_test_id("stPopover").first.get_by_role("button").click()  # More
    page.get_by_role("spinbutton", name="Seed").wait_for()


def stop(page) -> None:
    press(page, "Stop")
    wait_for_state(page, "stopped")


def test_the_page_is_alive_with_nothing_pressed(open_page):
    page = open_page()
    first = wait_for_steps(page)
    page.wait_for_function(f"text => {STEP} !== text", arg=f"step {first:,}")
    expect(page.locator(".sc-matrix")).to_have_count(3)
    expect(page.locator(".js-plotly-plot")).to_have_count(5)


def test_train_pause_step_resume_stop(open_page, server):
    page = open_page(f"/?task=spirals&{LONG}")
    wait_for_steps(page, -1)
    page.evaluate(NOTE_OLD)
    run = train(page)
    wait_for_steps(page, 20)
    expect(page.locator(".sc-old")).to_have_count(0)
    assert page.evaluate("window.old") == 5  # charts of the run before
    press(page, "Pause")
    wait_for_state(page, "paused")
    page.get_by_role("button", name="Resume").first.wait_for()
    page.wait_for_timeout(500)
    held = step_of(page)
    press(page, "Step")
    assert wait_for_steps(page, held) == held + 1
    page.wait_for_function(
        "step => document.querySelector('.sc-fit .sc-chart').data[0].x.includes(step)", arg=held + 1
    )
    page.wait_for_timeout(600)
    assert step_of(page) == held + 1
    expect(page.locator("[data-testid=stTooltipContent]:visible")).to_have_count(0)
    press(page, "Resume")
    wait_for_state(page, "running")
    wait_for_steps(page, held + 20)
    stop(page)
    assert Store(server.home).get(run).reason == "stopped"


def test_rho_changes_while_it_trains_and_the_budget_follows_exactly(open_page, server):
    page = open_page(f"/?task=sinc&method=global&density=0.4&{LONG}")
    wait_for_steps(page, -1)
    run = train(page)
    page.locator(".sc-kept", has_text="115 of 288").wait_for()
    slider = page.get_by_role("slider").first
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.locator(".sc-kept", has_text="86 of 288").wait_for()
    page.wait_for_url(lambda url: "density=0.3" in url)  # the picture may be quicker than the page
    assert Store(server.home).changes(run) == {"density": 0.3}
    stop(page)


@pytest.mark.slow
def test_reset_waits_at_the_same_initial_weights(open_page, server):
    page = open_page(f"/?task=spirals&{LONG}&seed=3")
    wait_for_steps(page, -1)
    first = train(page)
    wait_for_steps(page, 20)
    press(page, "Reset")
    page.wait_for_function("id => !location.href.includes(id)", arg=first)
    wait_for_state(page, "paused")
    page.wait_for_function(f"() => {STEP} === 'step 0'")
    second = run_id(page)
    store = Store(server.home)
    begun = store.frame(first, store.frames(first)[0][0])
    arrays, again = (decode(row.payload)[0] for row in (begun, store.frame(second)))
    assert all((arrays[name] == again[name]).all() for name in arrays)
    press(page, "Step")
    assert wait_for_steps(page, 0) == 1
    press(page, "New seed")
    page.wait_for_function("id => !location.href.includes(id)", arg=second)
    page.wait_for_url(lambda url: "seed=4" in url)
    wait_for_steps(page, 0)
    stop(page)


def test_reload_and_a_second_tab_show_the_same_run_and_settings(open_page):
    page = open_page(f"/?task=sinc&density=0.2&seed=7&{LONG}")
    wait_for_steps(page, -1)
    run = train(page)
    wait_for_steps(page, 20)
    page.reload()
    at = wait_for_steps(page, 20)
    other = page.context.new_page()
    other.goto(page.url)
    wait_for_steps(other, at)
    for tab in (page, other):
        assert run_id(tab) == run
        expect(tab.locator(".sc-setting")).to_contain_text("ρ 0.2 (80 % sparse) · seed 7")
    stop(other)
    wait_for_state(page, "stopped")
    page.locator(".st-key-do_stop button:disabled").first.wait_for(state="attached")


def test_a_collapse_is_named_with_its_layer_and_cure(open_page):
    page = open_page("/?task=sinc&method=global&density=0.05&size=paper")
    wait_for_steps(page, -1)
    train(page)
    wait_for_state(page, "collapsed")
    notice = page.locator(".sc-notice").text_content()
    assert "W3" in notice
    assert "layer-wise" in notice
    page.wait_for_function(KEPT_OUTSIDE)


@pytest.mark.slow
def test_a_run_that_failed_before_its_first_picture_shows_why_and_no_empty_charts(open_page, server):
    store = Store(server.home)
    run = store.create(RunConfig(task="sinc"), worker="test")
    store.fail(run, "there was no memory left.", "test")
    store.close()
    page = open_page(f"/?run={run}")
    expect(page.locator(".sc-notice")).to_contain_text("there was no memory left.")
    expect(page.locator(".sc-panel:visible")).to_have_count(0)
    expect(page.locator(".st-key-do_train button:visible")).to_be_enabled()


@pytest.mark.slow
def test_freeze_fixes_the_support_and_thaw_lets_it_move(open_page, server):
    page = open_page(f"/?task=spirals&density=0.2&{LONG}")
    wait_for_steps(page, -1)
    run = train(page)
    wait_for_steps(page, 20)
    press(page, "Freeze")
    page.locator(".sc-support", has_text="support frozen").wait_for()
    page.get_by_role("button", name="Unfreeze").first.wait_for()
    store = Store(server.home)
    assert store.changes(run)["freeze_at"] >= 1
    press(page, "Unfreeze")
    page.get_by_role("button", name=re.compile(r"\bFreeze")).first.wait_for()
    expect(page.locator(".sc-support")).not_to_have_text("support frozen")
    expect(page.locator(".sc-certificate")).to_contain_text("L-stationary for L ≥")
    stop(page)
    assert store.changes(run) == {"freeze_at": None}


@pytest.mark.slow
def test_floors_of_the_link_keep_every_layer_alive(open_page, server):
    link = "task=sinc&method=global&density=0.1&keep_alive=1&keep_alive_layer=6&schedule=cubic&mode=latent"
    page = open_page(f"/?{link}&{LONG}")
    wait_for_steps(page, -1)
    run = train(page)
    wait_for_steps(page, 50)
    stop(page)
    result = Store(server.home).get(run).result
    assert min(layer["nonzeros"] for layer in result["layers"]) >= 6
    open_more(page)
    assert page.get_by_role("spinbutton", name="Minimum kept per neuron").input_value() == "1"
    assert page.get_by_role("spinbutton", name="Initial ρ").input_value() == "1"


def test_an_ended_run_replays_with_the_slider(open_page):
    page = open_page("/?task=sinc&max_steps=1500")
    wait_for_steps(page, -1)
    train(page)
    wait_for_state(page, "max_steps")
    last = wait_for_steps(page, 1499)
    at_rest(page)
    replay = page.locator(".sc-replay input")
    replay.focus()
    page.keyboard.press("Home")
    page.wait_for_function(f"() => {STEP} === 'step 0'")
    expect(page.locator(".sc-pill")).to_have_text("Replay")
    page.keyboard.press("End")
    page.wait_for_function(f"text => {STEP} === text", arg=f"step {last:,}")
    expect(page.locator(".sc-pill")).to_have_text("Finished")


def test_a_run_of_an_older_version_replays(open_page, server):
    store = Store(server.home)
    run = import_run(store, io.BytesIO(older_archive("spirals"))).run
    first, last = (Frame.read(store.frame(run, store.frames(run)[place][0]).payload) for place in (0, -1))
    page = open_page(f"/?run={run}")
    for key, frame in (("End", last), ("Home", first)):
        page.locator(".sc-replay input").press(key)
        page.wait_for_function(f"text => {STEP} === text", arg=f"step {frame.step}")
        kept = [(matrix.layer["kept"], matrix.mask.size) for matrix in frame.matrices]
        expected = [sorted({some, size - some} - {0}) for some, size in kept]
        shown = f"expected => JSON.stringify(({MASKS})()) === expected"
        page.wait_for_function(shown, arg=json.dumps(expected, separators=(",", ":")))


@pytest.mark.slow
def test_hover_tells_position_value_and_count_and_zoom_survives_updates(open_page):
    page = open_page(f"/?task=spirals&{LONG}")
    wait_for_steps(page, -1)
    run = train(page)
    matrix = page.locator(".sc-matrix").nth(1).locator(".sc-port:not([hidden])").first
    matrix.hover()
    tip = page.locator(".sc-tip")
    expect(tip).to_contain_text(re.compile(r"row \d+, column \d+"))
    expect(tip).to_contain_text(re.compile(r"w = -?[\d.e-]+ · (kept|pruned)"))
    expect(tip).to_contain_text(re.compile(r"kept in [\d,]+ of [\d,]+ steps"))
    matrix.dblclick()
    zoomed = matrix.locator("canvas").evaluate("node => node.style.transform")
    assert "scale(2)" in zoomed
    chart = "document.querySelector('.sc-fit .js-plotly-plot')"
    page.wait_for_function(f"run => {chart}?.layout.uirevision === run", arg=run)  # a new run resets the zoom
    page.evaluate(f"Plotly.relayout({chart}, {{'xaxis.range': [0, 50]}})")
    wait_for_steps(page, step_of(page) + 50)
    assert matrix.locator("canvas").evaluate("node => node.style.transform") == zoomed
    assert page.evaluate(f"{chart}.layout.xaxis.range") == [0, 50]
    stop(page)


@pytest.mark.parametrize("size", ["demo", pytest.param("paper", marks=pytest.mark.slow)])
def test_live_frames_come_without_a_remount_or_a_blank(open_page, size):
    watch_live(open_page, size, seconds=8)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "least"), [("demo", 5), ("paper", 2)])
def test_a_minute_of_live_frames(open_page, size, least):
    assert watch_live(open_page, size, seconds=60) >= least


def watch_live(open_page, size: str, seconds: int) -> float:
    """Frames a second that a page draws of a run, with not one node remounted or blank."""
    page = open_page(f"/?task=sinc&size={size}&{LONG}")
    wait_for_steps(page, -1)
    train(page)
    wait_for_steps(page, 20)
    page.wait_for_timeout(1500)
    page.evaluate(WATCH_NODES)
    page.wait_for_timeout(seconds * 1000)
    seen = page.evaluate("({ ...window.seen, steps: window.steps.size })")
    stop(page)
    assert (seen["added"], seen["removed"], seen["blank"]) == (0, 0, 0), seen
    print(f"{size}: {seen['steps'] / seconds:.1f} frames a second for {seconds} s, {seen}")
    return seen["steps"] / seconds


@pytest.mark.slow
def test_hidden_tabs_receive_nothing(open_page):
    page = open_page(f"/?task=sinc&{LONG}")
    wait_for_steps(page, -1)
    train(page)
    wait_for_steps(page, 20)
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.wait_for_timeout(500)
    held = step_of(page)
    page.wait_for_timeout(1000)
    assert step_of(page) == held
    page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    wait_for_steps(page, held)
    stop(page)


@pytest.mark.slow
def test_settings_that_do_not_fit_are_told_and_nothing_is_written(open_page, server):
    page = open_page("/?task=sinc&density=7&noise=-1&learning_rate=abc")
    wait_for_steps(page, -1)
    said = page.get_by_text("must be greater than 0 and at most 1; got 7.0.")
    said.wait_for()
    open_more(page)
    page.get_by_text("got abc").wait_for()
    page.get_by_text("got -1").wait_for()
    before = len(Store(server.home).list())
    steps = page.get_by_role("spinbutton", name="Maximum steps")
    steps.fill("-5")
    steps.press("Enter")
    page.get_by_text("Maximum steps must be at least 1 and at most 10,000,000; got -5.").wait_for()
    page.keyboard.press("Escape")
    expect(page.locator(".stMainBlockContainer").get_by_text("got -5.").first).to_be_visible()
    expect(page.locator(".st-key-do_train button:visible")).to_be_disabled()
    assert len(Store(server.home).list()) == before


@pytest.mark.parametrize(
    ("width", "locale"),
    [
        (1280, "en-US"),
        (390, "zh-CN"),
        pytest.param(1280, "zh-CN", marks=pytest.mark.slow),
        pytest.param(390, "en-US", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_wider_than_the_screen_and_no_key_shows(open_page, width, locale):
    page = open_page("/?task=spirals", width=width, locale=locale)
    wait_for_steps(page, -1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    menu = page.get_by_test_id("stMainMenuButton").bounding_box()
    assert menu["x"] + menu["width"] <= width
    shown = page.locator(".stMain").inner_text()
    assert not re.search(r"\b(live|parameter|action|state|method|task)\.\w+", shown)
    assert ("哪些权重保留下来" in shown) == (locale == "zh-CN")


@pytest.mark.slow
def test_settings_and_run_outlive_a_closed_popover_and_another_page(open_page):
    page = open_page(f"/?task=spirals&seed=5&noise=0.2&{LONG}")
    wait_for_steps(page, -1)
    run = train(page)
    wait_for_steps(page, 20)
    open_more(page)
    for name, value in (("Seed", "5"), ("Noise", "0.2"), ("Maximum steps", "1000000")):
        expect(page.get_by_role("spinbutton", name=name)).to_have_value(value)
    seed = page.get_by_role("spinbutton", name="Seed")
    seed.fill("6")
    seed.press("Enter")
    page.wait_for_function("() => location.href.includes('seed=6')")
    page.keyboard.press("Escape")
    page.wait_for_timeout(1000)
    page.get_by_role("link", name="Runs").click()
    page.get_by_text("All runs", exact=True).wait_for()
    page.get_by_role("link", name="Lab").click()
    wait_for_steps(page, 20)
    assert run_id(page) == run
    assert "seed=6" in page.url
    assert "noise=0.2" in page.url
    stop(page)


def test_the_runs_page_lists_and_opens_runs(open_page, server):
    wait_for_steps(open_page(), -1)  # a run to list
    page = open_page("/runs")
    page.get_by_text("All runs", exact=True).wait_for()
    page.locator("[data-testid=stDataFrame]").wait_for()
    steps = page.evaluate("history.length")
    page.get_by_role("link", name="Lab").first.click()
    page.wait_for_url("**density=0.4**")
    wait_for_steps(page, -1)
    at_rest(page)
    assert page.evaluate("history.length") == steps + 1  # not one for every setting of the address
    page.go_back()
    page.get_by_text("All runs", exact=True).wait_for()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["sinc", "spirals", "vulnerabilities"])
def test_train_is_answered_within_two_seconds_on_a_warm_server(open_page, task):
    page = open_page(f"/?task={task}&{LONG}")
    wait_for_steps(page, -1)
    page.wait_for_timeout(12_000)
    pressed = time.monotonic()
    train(page)
    took = time.monotonic() - pressed
    stop(page)
    print(f"{task}: Train pressed to first frame: {took:.2f} s")
    assert took < 2


@pytest.mark.slow
def test_a_cold_start_moves_within_fifteen_seconds(open_page, another_server, tmp_path):
    begun = time.monotonic()
    page = open_page(url=another_server(tmp_path).url)
    first = wait_for_steps(page, -1)
    page.wait_for_function(f"text => {STEP} !== text", arg=f"step {first:,}")
    took = time.monotonic() - begun
    print(f"cold start to a moving picture: {took:.1f} s")
    assert took < 15


@pytest.mark.slow
def test_the_server_stays_small_with_ten_finished_runs_opened(open_page, another_server, tmp_path):
    server = another_server(tmp_path)  # what other tests left in the common one is not of these runs
    store = Store(server.home)
    sizes = ("demo", "paper")
    ended = [store.create(RunConfig(size=sizes[n % 2], seed=n, max_steps=150)) for n in range(10)]
    deadline = time.monotonic() + 120
    while any(store.get(run).active for run in ended):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    page = open_page("/runs", url=server.url)
    for run in ended:
        page.goto(f"{server.url}/?run={run}")
        shows_its_run(page)
    print(f"ten runs opened, the server holds {server.memory() / 1e6:.0f} MB")
    assert server.memory() < 250e6


@pytest.mark.slow
def test_a_step_that_is_looked_at_stays_while_the_run_goes_on(open_page):
    page = open_page(f"/?task=sinc&{LONG}")
    wait_for_steps(page, -1)
    at_rest(page)
    train(page)
    newest = wait_for_steps(page, 300)
    page.locator(".sc-replay input").focus()
    page.keyboard.press("ArrowLeft")  # to a frame that has come by itself, as do those after it
    looked = step_of(page)
    page.wait_for_timeout(3000)
    assert step_of(page) == looked
    page.locator(".sc-replay .sc-link").click()
    wait_for_steps(page, newest)
    stop(page)


@pytest.mark.slow  # Streamlit tells it only after half a minute
def test_a_lost_connection_is_told_in_the_words_of_the_page(open_page, another_server, tmp_path):
    server = another_server(tmp_path)
    page = open_page("/theory", url=server.url, locale="zh-CN")
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    server.process.kill()
    lost = page.get_by_role("heading", name="连不上服务器")
    expect(lost).to_be_visible()
    another_server(tmp_path, int(server.url.rpartition(":")[2]))
    expect(lost).to_have_count(0)


def test_the_view_and_the_run_come_back_after_the_server_was_killed(open_page, another_server, tmp_path):
    server = another_server(tmp_path)
    page = open_page(f"/?task=spirals&{LONG}", url=server.url)
    wait_for_steps(page, -1)
    run = train(page)
    reached = wait_for_steps(page, 100, 60)
    expect(page.locator(".js-plotly-plot")).to_have_count(5)  # the charts' script has come
    server.process.kill()
    wait_for_state(page, "offline")
    expect(page.locator(".sc-matrix canvas").first).to_be_visible()
    port = int(server.url.rpartition(":")[2])
    another_server(tmp_path, port)
    wait_for_state(page, "running", 60)
    wait_for_steps(page, reached, 60)
    assert run_id(page) == run
    Store(tmp_path).command(run, "stop")
    wait_for_state(page, "stopped")
