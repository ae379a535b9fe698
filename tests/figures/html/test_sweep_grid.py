"""The grid of a sweep shows every cell state without colour and lists every cause of failure."""

import re

import pytest

from sparsecore.engine.config import RunConfig
from sparsecore.figures.html import sweep_grid
from sparsecore.figures.html.sweep_grid import (
    MAX_LISTED,
    done_share,
    failure_notes,
    grid_html,
    legend_html,
    progress_bar,
    running_links,
)
from sparsecore.runs.store.run import Run
from sparsecore.runs.sweeps.spec import Cell, SweepSpec
from sparsecore.words import words


def say(key: str, **values) -> str:
    return words("en")[key].format(**values)


def run(config: RunConfig, **more) -> Run:
    values = dict.fromkeys(Run.__dataclass_fields__) | {"id": "abc", "place": 1, "step": 0}
    return Run(**(values | {"config": config, "state": "ended", "reason": "max_steps"} | more))


def result(test: float, metric: str = "rmse") -> dict:
    return {"metrics": {"train": {metric: test}, "test": {metric: test}}}


def cell(method: str = "global", density: float = 0.1, seed: int = 0, **more) -> Cell:
    config = RunConfig(method=method, density=density, seed=seed, max_steps=1_000)
    return Cell(config, run(config, **more) if more else None)


def chips(html: str) -> list[tuple[str, str]]:
    return re.findall(r'data-status="(\w+)"[^>]*>([^<]*)</span>', html)


@pytest.mark.parametrize(
    ("made", "chip"),
    [
        (cell(), ("missing", "")),
        (cell(state="queued"), ("queued", "·")),
        (cell(state="running", step=250), ("running", "25%")),
        (cell(state="paused"), ("paused", "‖")),
        (cell(result=result(0.07631)), ("done", "0.0763")),
        (cell(result=result(0.99751, "accuracy")), ("done", "99.8")),
        (cell(reason="collapsed", result=result(0.358)), ("collapsed", "0.358 ✕")),
        (cell(state="failed", reason=None, error="no worker"), ("failed", "!")),
        (cell(reason="stopped", result=result(0.2)), ("stopped", "‖")),
    ],
)
def test_every_cell_state_has_a_sign_or_a_number(made, chip):
    assert chips(grid_html([made], say, "en")) == [chip]


def test_a_started_run_links_to_the_lab_in_the_readers_language():
    assert 'href="./?run=abc&lang=zh"' in grid_html([cell(result=result(0.1))], say, "zh")
    assert "href" not in grid_html([cell(state="queued"), cell(seed=1)], say, "en")


def test_running_cells_are_named_and_link_to_the_lab():
    made = [cell(density=0.4, seed=2, state="running", step=9), cell(state="queued"), cell(seed=1)]
    html = running_links(made, say, "zh")
    assert html.count("<a") == 1
    assert '<a href="./?run=abc&lang=zh" target="_self">' in html
    assert "ρ 0.4, seed 2" in html
    assert running_links(made[1:], say, "en") == ""


def test_only_the_first_of_many_running_cells_are_named():
    html = running_links([cell(seed=seed, state="running") for seed in range(MAX_LISTED + 3)], say, "en")
    assert (html.count("<a"), "and 3 more" in html) == (MAX_LISTED, True)


def test_densities_are_columns_and_dense_spans_all_methods():
    spec = SweepSpec(task="sinc", densities=(1.0, 0.4), seeds=(0, 1))
    html = grid_html([Cell(config, None) for config in spec.configs()], say, "en")
    assert re.findall(r"<b[^>]*>([^<]+)</b>", html) == ["ρ", "global", "layer-wise", "1", "0.4"]
    assert re.findall(r'class="(sp-place[^"]*)" data-method="(\w+)"', html) == [
        ("sp-place sp-span", "dense"),
        ("sp-place", "global"),
        ("sp-place", "layerwise"),
    ]
    assert "--methods:2;--densities:2" in html
    assert len(chips(html)) == 6


def test_many_seeds_become_small_squares():
    cells = [cell(seed=seed) for seed in range(6)]
    assert "sp-small" in grid_html(cells, say, "en")
    assert "sp-small" not in grid_html(cells[:5], say, "en")


def test_many_densities_become_small_squares_without_a_legend():
    cells = [cell(density=round(0.02 * (place + 1), 2), result=result(0.1)) for place in range(23)]
    assert "sp-small" in grid_html(cells, say, "en")
    assert legend_html(cells, say) == ""
    assert "sp-small" not in grid_html(cells[:22], say, "en")
    assert legend_html(cells[:22], say) != ""


def test_a_huge_sweep_has_a_progress_bar_per_place(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sweep_grid, "MAX_CHIPS", 3)
    cells = [cell(seed=seed, result=result(0.1)) for seed in range(3)] + [cell(density=0.4)]
    html = grid_html(cells, say, "en")
    assert chips(html) == []
    assert 'title="global ρ 0.1: 3 of 3 runs done"' in html
    assert 'title="global ρ 0.4: 0 of 1 runs done"' in html
    assert legend_html(cells, say) == ""
    assert len(chips(grid_html(cells[:3], say, "en"))) == 3


def test_the_progress_bar_counts_finished_and_partly_done_cells():
    cells = [
        cell(result=result(0.1)),
        cell(seed=1, reason="collapsed", result=result(0.3)),
        cell(seed=2, state="running", step=500),
        cell(seed=3),
    ]
    html = progress_bar(cells, say)
    parts = dict(re.findall(r'data-status="(\w+)" style="width:([\d.]+)%', html))
    assert parts == {"done": "25.00", "collapsed": "25.00", "running": "12.50"}
    assert "2 of 4 runs done" in html


def test_a_run_without_a_step_limit_has_no_progress_share():
    config = RunConfig(task="vulnerabilities", size="laptop")
    planned = Cell(config, run(config, state="running", step=10))
    assert done_share(planned) is None
    assert chips(grid_html([planned], say, "en")) == [("running", "…")]


def test_each_cause_is_listed_once_with_seeds_layer_and_step():
    collapsed = {"reason": "collapsed", "result": result(0.3)}
    html = failure_notes(
        [
            *(cell(seed=seed, detail={"layer": "fc3", "step": 1}, **collapsed) for seed in (0, 1)),
            cell(density=0.2, detail={"step": 40}, **collapsed),
            cell(seed=5, reason="diverged", detail={"what": "loss", "step": 1_200}),
            cell(seed=6, state="failed", reason=None, error="<b>no</b> disk."),
            cell(seed=7, result=result(0.1)),
        ],
        say,
    )
    assert re.findall(r"<li[^>]*>([^<]*(?:<(?!/li)[^<]*)*)</li>", html) == [
        "global ρ 0.2, seed 0 collapsed: the output ignores the input from step 40",
        "global ρ 0.1, seed 6 failed: &lt;b&gt;no&lt;/b&gt; disk.",
        "global ρ 0.1, seed 0, 1 collapsed: W3 is empty from step 1",
        "global ρ 0.1, seed 5 diverged at step 1,200",
    ]


def test_only_the_first_of_many_causes_are_listed():
    html = failure_notes(
        [cell(seed=seed, state="failed", reason=None, error=f"{seed}") for seed in range(9)], say
    )
    assert html.count("<li") == 7
    assert "and 3 more" in html


def test_the_legend_appears_with_the_first_number():
    assert legend_html([cell()], say) == ""
    assert "RMSE" in legend_html([cell(result=result(0.1))], say)
    assert "in %" in legend_html([cell(result=result(0.9, "accuracy"))], say)
