"""Figures: their traces, colours and clickable run ids."""

import math
from dataclasses import replace

import pytest

from sparsecore.engine.cards import methods
from sparsecore.figures.style import MAX_POINTS, colour, interval_band, layer_name, point_stride
from sparsecore.figures.sweep import layer_densities, metric_curve, pareto, run_seconds, weights_left
from sparsecore.paper.thesis import printed
from sparsecore.runs.sweeps.results import KeptLayer, MeanPoint, Point, interval
from sparsecore.words import words


def say(key: str, **values) -> str:
    return words("en")[key].format(**values) if values else words("en")[key]


def point(method: str, density: float, seed: int, test: float, **more) -> Point:
    """Return a finished run of a network with 100 + 1,000 weights."""
    kept = round(1_000 * density)
    values = {
        "run": f"{method[0]}{density:g}s{seed}",
        "collapsed": False,
        "reason": "max_steps",
        "metric": "rmse",
        "train": test - 0.01,
        "steps": 100,
        "seconds": 10 * density + seed,
        "kept": kept,
        "budget": kept,
        "nonzeros": kept + 100,
        "weights": 1_100,
        "layers": (KeptLayer("fc1", 100, 100, False), KeptLayer("fc2", kept, 1_000, True)),
    }
    return Point(method=method, density=density, seed=seed, test=test, **(values | more))


FOUND = [
    point("dense", 1.0, 0, 0.075),
    point("dense", 1.0, 1, 0.071),
    *(point("global", 0.4, seed, 0.08 + seed / 100) for seed in range(3)),
    *(point("global", 0.1, seed, 0.35, collapsed=seed == 0, reason="collapsed") for seed in range(3)),
    point("layerwise", 0.4, 0, 0.076),
]


def traces(figure, meta: str) -> list:
    return [trace for trace in figure.data if trace.meta == meta]


def of(figure, meta: str, method: str):
    return next(trace for trace in traces(figure, meta) if trace.legendgroup == method)


def test_means_and_intervals_of_a_method_by_density():
    figure = metric_curve(FOUND, metric="rmse", say=say)
    line, area = of(figure, "mean test", "global"), of(figure, "band", "global")
    assert list(line.x) == [0.1, 0.4]
    assert list(line.y) == pytest.approx([0.35, 0.09])
    low, high = interval([0.08, 0.09, 0.10])[1:]
    # Once along the upper bounds and back along the lower ones.
    assert list(area.x) == [0.1, 0.4, 0.4, 0.1, None]
    assert area.y[1:3] == pytest.approx((high, low))
    assert f"95 % interval {low:.6g} to {high:.6g}" in line.customdata[1][1]


def test_every_run_is_a_point_with_its_id_and_collapsed_runs_are_crosses():
    figure = metric_curve(FOUND, metric="rmse", say=say)
    runs = {
        row[0]: (x, y)
        for trace in traces(figure, "runs")
        for row, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }
    assert runs == {found.run: (found.density, found.test) for found in FOUND}
    dots = of(figure, "runs", "global")
    crosses = [
        row[0] for row, symbol in zip(dots.customdata, dots.marker.symbol, strict=True) if symbol == "x"
    ]
    assert crosses == ["g0.1s0"]
    assert "collapsed" in dots.customdata[3][1]
    assert "collapsed" in [trace.name for trace in traces(figure, "key")]
    assert "0.08<br>seed 0, run g0.4s0" in dots.customdata[0][1]


def test_many_runs_are_thinned_evenly_but_means_use_all():
    many = [point("global", density, seed, seed) for density in (0.1, 0.2, 0.4) for seed in range(1_000)]
    figure = metric_curve(many, metric="rmse", say=say)
    drawn = of(figure, "runs", "global")
    assert (point_stride(many), len(drawn.x)) == (10, MAX_POINTS)
    assert {x: list(drawn.x).count(x) for x in (0.1, 0.2, 0.4)} == {0.1: 100, 0.2: 100, 0.4: 100}
    assert len(drawn.customdata) == len(drawn.marker.symbol) == MAX_POINTS
    assert list(of(figure, "mean test", "global").y) == [499.5] * 3
    front = pareto(many, many, metric="rmse", say=say)
    assert all(len(trace.x) == len(trace.customdata) for trace in traces(front, "runs"))


def test_dense_is_a_horizontal_line_over_the_drawn_range():
    figure = metric_curve(FOUND, metric="rmse", say=say)
    line = of(figure, "mean test", "dense")
    assert (line.x, line.y) == ((0.1, 1.0), pytest.approx((0.073, 0.073)))
    assert "ρ 1" in line.customdata[0][1]
    assert set(of(figure, "band", "dense").x) == {0.1, 1.0, None}


def test_each_method_has_its_colour_everywhere():
    for figure in (
        metric_curve(FOUND, metric="rmse", say=say),
        run_seconds(FOUND, say=say),
        weights_left(FOUND, say=say),
    ):
        for trace in figure.data:
            if trace.legendgroup in methods() and trace.meta.startswith("mean"):
                assert trace.line.color == methods()[trace.legendgroup].colour
    assert colour("dense") == "#7f7f7f"


def test_train_is_thin_and_shares_the_legend_entry_of_test():
    figure = metric_curve(FOUND, metric="rmse", say=say, parts=("test", "train"))
    test, train = (of(figure, f"mean {part}", "global") for part in ("test", "train"))
    assert test.line.width > train.line.width
    assert list(train.y) == pytest.approx([0.34, 0.08])
    assert (test.showlegend, train.showlegend) == (True, False)
    half = interval([0.07, 0.08, 0.09])[2] - 0.08
    assert train.error_y.array[1] == pytest.approx(half)
    assert "global, train" in train.customdata[0][1]


def test_thesis_points_are_open_diamonds_without_a_run():
    figure = metric_curve(FOUND, printed("sinc"), metric="rmse", say=say)
    marks = [trace for trace in traces(figure, "thesis test") if trace.marker.color == colour("layerwise")]
    assert dict(zip(marks[0].x, marks[0].y, strict=True))[0.05] == 0.6575
    assert all(row[0] is None for row in marks[0].customdata)
    assert "Table 3-1" in marks[0].customdata[0][1]
    assert marks[0].marker.symbol == "diamond-open"


def test_without_runs_the_thesis_is_drawn_with_a_legend():
    figure = metric_curve([], printed("vulnerabilities"), metric="accuracy", say=say, logarithmic=True)
    assert {trace.name for trace in traces(figure, "key")} == {"dense", "global", "layer-wise"}
    assert figure.layout.yaxis.tickformat == ".0%"
    assert 10 ** figure.layout.xaxis.range[0] < 0.01


def test_the_axis_of_density_is_linear_or_logarithmic():
    linear = metric_curve(FOUND, metric="rmse", say=say)
    assert linear.layout.xaxis.type == "linear"
    logarithmic = metric_curve(FOUND, metric="rmse", say=say, logarithmic=True).layout.xaxis
    assert logarithmic.type == "log"
    low, high = logarithmic.range
    assert low < math.log10(0.1)
    assert high > 0
    assert "0.1" in logarithmic.ticktext


def test_the_range_shows_every_run_and_ignores_wide_intervals():
    wide = [point("global", 0.4, 0, 0.1), point("global", 0.4, 1, 0.9)]
    low, high = metric_curve(wide, metric="rmse", say=say).layout.yaxis.range
    assert low < 0.1 < 0.9 < high < 1.0


def test_a_band_is_interrupted_where_a_single_run_has_no_interval():
    found = [MeanPoint(0.1, 1, 0.5, 1.5, 2), MeanPoint(0.2, 1, None, None, 1), MeanPoint(0.4, 1, 0.9, 1.1, 3)]
    area = interval_band(found, "#000000", "a")
    assert list(area.x) == [0.1, 0.1, None, 0.4, 0.4, None]
    assert list(area.y) == [1.5, 0.5, None, 1.1, 0.9, None]


def test_the_density_of_every_layer_of_one_method():
    figure = layer_densities(FOUND, "global", say=say)
    lines = {trace.name: trace for trace in figure.data if str(trace.meta).startswith("layer")}
    assert lines.keys() == {"W1", "W2"}
    assert list(lines["W1"].y) == [1.0, 1.0]
    assert list(lines["W2"].y) == pytest.approx([0.1, 0.4])
    assert {row[0] for trace in traces(figure, "runs") for row in trace.customdata} == {
        found.run for found in FOUND if found.method == "global"
    }
    (uniform,) = traces(figure, "alike")
    assert uniform.x == uniform.y


def test_a_transformers_blocks_are_numbered_from_one():
    layers = (
        KeptLayer("blocks.0", 1, 10, True),
        KeptLayer("blocks.1", 2, 10, True),
        KeptLayer("out", 4, 4, False),
    )
    figure = layer_densities([point("layerwise", 0.1, 0, 0.7, layers=layers)], "layerwise", say=say)
    assert [trace.name for trace in figure.data if str(trace.meta).startswith("layer")] == [
        "block 1",
        "block 2",
        "out",
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("fc1", "W1"), ("blocks.0", "block 1"), ("blocks.1.query", "block 2 query"), ("head", "head")],
)
def test_layers_count_from_one(name: str, shown: str):
    assert layer_name(name, say) == shown


def test_time_and_nonzeros_of_every_run():
    seconds, left = run_seconds(FOUND, say=say), weights_left(FOUND, say=say)
    assert list(of(seconds, "mean", "global").y) == pytest.approx([2.0, 5.0])
    assert list(of(left, "mean", "global").y) == [200, 500]
    assert seconds.layout.yaxis.range[0] == 0
    assert "1,100" not in seconds.to_json()
    assert any("500" in row[1] for row in of(left, "mean", "global").customdata)


def test_pareto_front_against_runs_of_one_density():
    searched = [
        point("layerwise", 0.2, 0, 0.09, run="a"),
        point("layerwise", 0.3, 0, 0.08, run="b"),
        point("layerwise", 0.3, 0, 0.2, run="beaten", nonzeros=450),
    ]
    figure = pareto(searched, FOUND, metric="rmse", say=say)
    (front,) = traces(figure, "front")
    assert list(zip(front.x, front.y, strict=True)) == [(300, 0.09), (400, 0.08)]
    by_id = {
        row[0]: x
        for trace in traces(figure, "runs")
        for row, x in zip(trace.customdata, trace.x, strict=True)
    }
    assert by_id["beaten"] == 450
    uniform = next(t for t in traces(figure, "uniform") if t.line.color == colour("global"))
    assert list(uniform.y) == pytest.approx([0.35, 0.09])


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("metric", ["rmse", "accuracy"])
def test_figures_have_titles_in_both_languages(language, metric):
    def translate(key: str, **values) -> str:
        return words(language)[key].format(**values)

    found = [replace(each, metric=metric) for each in FOUND]
    for figure in (
        metric_curve(found, printed("sinc"), metric=metric, say=translate, parts=("test", "train")),
        layer_densities(found, "global", say=translate),
        layer_densities([], "global", say=translate, logarithmic=True),
        run_seconds(found, say=translate),
        weights_left(found, say=translate, logarithmic=True),
        pareto(found, found, metric=metric, say=translate),
    ):
        assert figure.layout.title.text
        assert figure.layout.xaxis.title.text
        assert figure.layout.yaxis.title.text
