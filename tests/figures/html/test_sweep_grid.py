"""The grid of a sweep shows every cell state without colour and lists every cause of failure."""

import re

import pytest

from sparsecore.engine.config import RunConfig
from sparsecore.figures.html import sweep_grid
from sparsecore.figures.html.sweep_grid import (
    TOLD,
    done_share,
    grid,
    legend,
    notes,
    progress_bar,
    training,
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
def test_every_state_has_a_sign_or_a_number(made, chip):
    assert chips(grid([made], say, "en")) == [chip]


def test_a_run_that_has_begun_is_a_link_to_the_lab_in_the_readers_language():
    assert 'href="/?run=abc&lang=zh"' in grid([cell(result=result(0.1))], say, "zh")
    assert "href" not in grid([cell(state="queued"), cell(seed=1)], say, "en")


def test_the_runs_that_train_now_are_named_and_lead_to_the_lab():
    made = [cell(density=0.4, seed=2, state="running", step=9), cell(state="queued"), cell(seed=1)]
    html = training(made, say, "zh")
    assert html.count("<a") == 1
    assert '<a href="/?run=abc&lang=zh" target="_self">' in html
    assert "ρ 0.4, seed 2" in html
    assert training(made[1:], say, "en") == ""


def test_of_many_that_train_at_once_the_first_are_named():
    html = training([cell(seed=seed, state="running") for seed in range(TOLD + 3)], say, "en")
    assert (html.count("<a"), "and 3 more" in html) == (TOLD, True)


def test_densities_are_columns_and_dense_is_one_place_for_all_methods():
    spec = SweepSpec(task="sinc", densities=(1.0, 0.4), seeds=(0, 1))
    html = grid([Cell(config, None) for config in spec.configs()], say, "en")
    assert re.findall(r"<b[^>]*>([^<]+)</b>", html) == ["ρ", "global", "layer-wise", "1", "0.4"]
    assert re.findall(r'class="(sp-place[^"]*)" data-method="(\w+)"', html) == [
        ("sp-place sp-span", "dense"),
        ("sp-place", "global"),
        ("sp-place", "layerwise"),
    ]
    assert "--methods:2;--densities:2" in html
    assert len(chips(html)) == 6


def test_many_seeds_are_small_squares():
    cells = [cell(seed=seed) for seed in range(6)]
    assert "sp-small" in grid(cells, say, "en")
    assert "sp-small" not in grid(cells[:5], say, "en")


def test_many_densities_are_small_squares_and_nothing_says_that_there_are_numbers():
    cells = [cell(density=round(0.02 * (place + 1), 2), result=result(0.1)) for place in range(23)]
    assert "sp-small" in grid(cells, say, "en")
    assert legend(cells, say) == ""
    assert "sp-small" not in grid(cells[:22], say, "en")
    assert legend(cells[:22], say) != ""


def test_of_very_many_cells_each_place_is_a_bar_that_tells_how_many_are_done(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sweep_grid, "MOST_CHIPS", 3)
    cells = [cell(seed=seed, result=result(0.1)) for seed in range(3)] + [cell(density=0.4)]
    html = grid(cells, say, "en")
    assert chips(html) == []
    assert 'title="global ρ 0.1: 3 of 3 runs done"' in html
    assert 'title="global ρ 0.4: 0 of 1 runs done"' in html
    assert legend(cells, say) == ""
    assert len(chips(grid(cells[:3], say, "en"))) == 3


def test_the_bar_is_what_ended_and_what_running_cells_have_done():
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


def test_nobody_knows_the_share_of_a_run_that_plans_epochs():
    config = RunConfig(task="vulnerabilities", size="laptop")
    planned = Cell(config, run(config, state="running", step=10))
    assert done_share(planned) is None
    assert chips(grid([planned], say, "en")) == [("running", "…")]


def test_causes_are_told_once_for_all_seeds_with_layer_and_step():
    collapsed = {"reason": "collapsed", "result": result(0.3)}
    html = notes(
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


def test_of_many_causes_the_first_are_told_and_the_rest_counted():
    html = notes([cell(seed=seed, state="failed", reason=None, error=f"{seed}") for seed in range(9)], say)
    assert html.count("<li") == 7
    assert "and 3 more" in html


def test_what_the_numbers_are_is_told_once_there_are_any():
    assert legend([cell()], say) == ""
    assert "RMSE" in legend([cell(result=result(0.1))], say)
    assert "in %" in legend([cell(result=result(0.9, "accuracy"))], say)
