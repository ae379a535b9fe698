"""Figures of a sweep: metric, seconds, non-zeros and layer densities against ρ; the Pareto front."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import log10
from operator import attrgetter
from statistics import fmean
from typing import Any

import plotly.graph_objects as go

from sparsecore.engine.cards import lower_is_better, methods, reference, tasks
from sparsecore.figures.style import (
    COUNT_AXIS,
    HOVER_TEMPLATE,
    LAYER_COLOURS,
    apply_layout,
    axis,
    colour,
    format_number,
    interval_band,
    layer_name,
    legend_only,
    mean_line,
    metric_axis,
    run_points,
)
from sparsecore.paper.thesis import Printed, printed
from sparsecore.runs.sweeps.results import Part, Point, by_method, means, pareto_front
from sparsecore.words import Say

WIDTHS = {"test": 3, "train": 1}  # line widths: test is bold, train thin
THESIS_GROUP = "thesis"  # legend group of all marks of the thesis
THESIS_SYMBOL = "diamond-open"
DASHES = {"test": "solid", "train": "dot"}
# width of the first layer's line; later lines are thinner, so layers with equal density stay visible
MAX_WIDTH = 5
FRONT_COLOUR = "#009e73"
DENSITY_TICKS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
POINT_COLUMNS = ("runs.seed", "figure.low", "figure.high", "figure.n")  # of means and runs, from index 2 on


def sweep_figures(
    points: Sequence[Point],
    task: str,
    *,
    say: Say,
    parts: Sequence[Part] = ("test",),
    logarithmic: bool = True,
) -> dict[str, go.Figure]:
    """All figures of a sweep by name: the metric; once there are runs, each method's layers and the cost."""
    look = {"say": say, "logarithmic": logarithmic}
    metric = points[0].metric if points else tasks()[task].metric.name
    figures = {"metric": metric_curve(points, printed(task), metric=metric, parts=parts, **look)}
    if points:
        cut = [method for method in by_method(points) if methods()[method].constrained]
        figures |= {f"layers_{method}": layer_densities(points, method, **look) for method in cut}
        figures |= {"seconds": run_seconds(points, **look), "weights": weights_left(points, **look)}
    return figures


def metric_curve(
    points: Sequence[Point],
    thesis: Sequence[Printed] = (),
    *,
    metric: str,
    say: Say,
    parts: Sequence[Part] = ("test",),
    logarithmic: bool = False,
) -> go.Figure:
    """Draw the metric of finished runs against ρ, one colour per method.

    A line connects the means, a band shows the 95 % interval, single runs are points with their id in
    `customdata[0]`, and collapsed runs are crosses. A method without a density is a horizontal line, the
    thesis open diamonds. With both parts, train is thin and its intervals are error bars.
    """
    figure = go.Figure()
    drawn = by_method(points)
    # the ends of the line of a method without a density
    span = min((each.density for each in (*points, *thesis)), default=0.05), 1.0
    for method, group in drawn.items():
        tint = colour(method)
        for part in parts:
            _draw_method(figure, group, part, method, tint, span, say, first=part == parts[0])
    _draw_thesis(figure, thesis, parts, say, alone=not points)
    _legend_entries(figure, points, thesis, parts, say)
    y = metric_axis(metric, say) | _value_range(figure)
    if "tickformat" in y and y["range"][1] - y["range"][0] <= 0.05:
        y["tickformat"] = ".1%"
    return _over_density(figure, say(f"figure.metric.{metric}"), y, say, logarithmic)


def _value_range(figure: go.Figure, *, zero: bool = False) -> dict[str, Any]:
    """Return a y range that shows every run and every printed value; with `zero` it starts at 0.

    Intervals of two or three seeds can be many times wider than the distance between runs: the frame cuts
    them off, and the hover shows them in full.
    """
    values = [y for trace in figure.data if trace.mode == "markers" for y in trace.y or () if y is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return {"range": [0 if zero else low - room, high + room]}


def _over_density(figure: go.Figure, title: str, y: dict[str, Any], say: Say, logarithmic: bool) -> go.Figure:
    """Lay a figure out over the drawn range of ρ, with ticks at common values."""
    low = min((x for trace in figure.data for x in trace.x or () if x is not None), default=0.05)
    x = axis(say("figure.density"), type="linear", range=[0, 1.03], dtick=0.1, tickformat="~g")
    if logarithmic:
        ticks = [tick for tick in DENSITY_TICKS if tick >= low * 0.8]
        x = axis(say("figure.density"), type="log", range=[log10(low) - 0.06, 0.04], tickvals=ticks)
        x["ticktext"] = [f"{tick:g}" for tick in ticks]
    return _laid_out(figure, title, x, y, say)


def _laid_out(figure: go.Figure, title: str, x: dict[str, Any], y: dict[str, Any], say: Say) -> go.Figure:
    """Lay a figure out in which a click selects a run."""
    columns = [say(word) for word in POINT_COLUMNS]
    return apply_layout(figure, title, x, y, columns, clickmode="event+select")


def _draw_method(
    figure: go.Figure,
    group: Sequence[Point],
    part: Part,
    method: str,
    tint: str,
    span: tuple[float, float],
    say: Say,
    *,
    first: bool,
) -> None:
    value = attrgetter(part)
    series = _series_name(method, part, say)
    shown = means(group, value)
    look = {"color": tint, "width": WIDTHS[part], "dash": DASHES[part]}
    line = mean_line(shown, series, say, line=look, legendgroup=method, showlegend=first, meta=f"mean {part}")
    if method in methods() and "density" not in methods()[method].takes:
        line.update(x=span, y=line.y * 2, customdata=[*line.customdata] * 2)
        shown = [replace(mean, density=end) for mean in shown for end in span]
    if first:
        figure.add_trace(interval_band(shown, tint, method))
    else:
        halves = [0.0 if mean.high is None else mean.high - mean.mean for mean in shown]
        line.update(error_y={"type": "data", "array": halves, "thickness": 1, "width": 3})
    figure.add_trace(line)
    dots = run_points(group, value, series, tint, say, legendgroup=method)
    if part == "train":
        dots.marker.size = [size - 3 for size in dots.marker.size]
    figure.add_trace(dots)


def _series_name(method: str, part: Part, say: Say) -> str:
    name = say(f"method.{method}")
    return name if part == "test" else say("figure.part", name=name, part=say(f"figure.{part}"))


def _draw_thesis(
    figure: go.Figure, thesis: Sequence[Printed], parts: Sequence[Part], say: Say, *, alone: bool
) -> None:
    for part in parts:
        for method in dict.fromkeys(result.method for result in thesis):
            group = [result for result in thesis if result.method == method]
            size = 11 if part == "test" else 7
            marker = {"symbol": THESIS_SYMBOL, "size": size, "color": colour(method), "line": {"width": 1.5}}
            figure.add_trace(
                go.Scatter(
                    x=[result.density for result in group],
                    y=[getattr(result, part) for result in group],
                    customdata=[[None, _printed_sentence(result, part, say)] for result in group],
                    name=_series_name(method, part, say),
                    mode="markers",
                    marker=marker,
                    hovertemplate=HOVER_TEMPLATE,
                    legendgroup=method if alone else THESIS_GROUP,
                    showlegend=False,
                    meta=f"thesis {part}",
                )
            )


def _printed_sentence(result: Printed, part: Part, say: Say) -> str:
    return say(
        "figure.printed",
        name=say(f"method.{result.method}"),
        part=say(f"figure.{part}"),
        density=f"{result.density:g}",
        value=format_number(getattr(result, part)),
        table=result.table,
    )


def _legend_entries(
    figure: go.Figure, points: Sequence[Point], thesis: Sequence[Printed], parts: Sequence[Part], say: Say
) -> None:
    """Add legend entries for the marks: the training line, a collapsed run, the thesis."""
    grey = colour(reference())
    if not points:
        for method in dict.fromkeys(result.method for result in thesis):
            key = {"symbol": THESIS_SYMBOL, "size": 11, "color": colour(method)}
            name = say(f"method.{method}")
            figure.add_trace(legend_only(name, mode="markers", marker=key, legendgroup=method))
    elif len(parts) > 1:
        line = {"color": grey, "width": WIDTHS["train"], "dash": DASHES["train"]}
        figure.add_trace(legend_only(say("figure.train"), mode="lines", line=line))
    if any(point.collapsed for point in points):
        key = {"symbol": "x", "size": 10, "color": grey}
        figure.add_trace(legend_only(say("figure.collapsed"), mode="markers", marker=key))
    if thesis and points:
        key = {"symbol": THESIS_SYMBOL, "size": 11, "color": grey}
        figure.add_trace(
            legend_only(say("figure.thesis"), mode="markers", marker=key, legendgroup=THESIS_GROUP)
        )


def run_seconds(points: Sequence[Point], *, say: Say, logarithmic: bool = False) -> go.Figure:
    """Draw the training seconds of runs against ρ: means, 95 % intervals over seeds, single runs."""
    figure = _of_methods(points, attrgetter("seconds"), say)
    y = axis(say("figure.seconds"), **_value_range(figure, zero=True))
    return _over_density(figure, say("figure.how_long"), y, say, logarithmic)


def weights_left(points: Sequence[Point], *, say: Say, logarithmic: bool = False) -> go.Figure:
    """Draw the number of non-zero weights in all matrices of a finished run against ρ."""
    figure = _of_methods(points, attrgetter("nonzeros"), say)
    y = axis(say("figure.nonzeros"), **COUNT_AXIS if logarithmic else _value_range(figure, zero=True))
    return _over_density(figure, say("figure.how_many"), y, say, logarithmic)


def _of_methods(points: Sequence[Point], value: Callable[[Point], float], say: Say) -> go.Figure:
    figure = go.Figure()
    for method, group in by_method(points).items():
        line = {"color": colour(method), "width": 2.5}
        _add_series(figure, group, value, method, say(f"method.{method}"), say, line, meta="mean")
    return figure


def _add_series(
    figure: go.Figure,
    group: Sequence[Point],
    value: Callable[[Point], float],
    key: str,
    name: str,
    say: Say,
    line: dict[str, Any],
    meta: str,
) -> None:
    """Add the interval, the mean and the single runs of a value; key: of their legend group."""
    shown, tint = means(group, value), line["color"]
    figure.add_trace(interval_band(shown, tint, key))
    figure.add_trace(mean_line(shown, name, say, line=line, legendgroup=key, meta=meta))
    figure.add_trace(run_points(group, value, name, tint, say, legendgroup=key))


def layer_densities(
    points: Sequence[Point], method: str, *, say: Say, logarithmic: bool = False
) -> go.Figure:
    """Draw the density of every layer of one method against ρ, mean and 95 % interval over seeds.

    The dashed diagonal marks equal density in all layers. Single runs are points with their run id in
    `customdata[0]`.
    """
    figure = go.Figure()
    selected = [point for point in points if point.method == method]
    names = list(dict.fromkeys(layer.name for point in selected for layer in point.layers))
    for place, layer in enumerate(names):

        def share(point: Point, layer: str = layer) -> float:
            return next(row.density for row in point.layers if row.name == layer)

        line = {
            "color": LAYER_COLOURS[place % len(LAYER_COLOURS)],
            "width": max(1.5, MAX_WIDTH - 1.25 * place),
        }
        line["dash"] = "solid" if place < len(LAYER_COLOURS) else "dot"
        name = layer_name(layer, say)
        _add_series(figure, selected, share, layer, name, say, line, meta=f"layer {layer}")
    _diagonal(figure, selected, say)
    y = axis(say("figure.kept"), tickformat=".0%", range=[-0.03, 1.05])
    title = say("figure.layers", method=say(f"method.{method}"))
    return _over_density(figure, title, y, say, logarithmic)


def _diagonal(figure: go.Figure, selected: Sequence[Point], say: Say) -> None:
    densities = sorted({point.density for point in selected})
    line = {"color": "#7f7f7f", "width": 1, "dash": "dash"}
    if not densities:
        figure.add_trace(legend_only(say("figure.uniform"), mode="lines", line=line))
        return
    steps = [densities[0] + (densities[-1] - densities[0]) * i / 50 for i in range(51)]
    look = {
        "mode": "lines",
        "line": line,
        "name": say("figure.uniform"),
        "hoverinfo": "skip",
        "meta": "alike",
    }
    figure.add_trace(go.Scatter(x=steps, y=steps, **look))


def pareto(
    searched: Sequence[Point], uniform: Sequence[Point], *, metric: str, say: Say, logarithmic: bool = True
) -> go.Figure:
    """Draw the test metric against the kept weights: all searched runs, their front, and runs with one ρ.

    Weights are the non-zeros of all matrices, so that methods that exempt a layer compare fairly.
    """
    figure = go.Figure()
    for method, points in by_method(uniform).items():
        label = say("figure.one_density", method=say(f"method.{method}"))
        groups = [[p for p in points if p.density == density] for density in {p.density for p in points}]
        _add_front(figure, groups, label, colour(method), "uniform", say)
    best = pareto_front([(point.nonzeros, point.test) for point in searched], lower=lower_is_better(metric))
    front = [[searched[place]] for place in best]
    _add_front(figure, front, say("figure.front"), FRONT_COLOUR, "front", say)
    rest = [point for place, point in enumerate(searched) if place not in best]
    hollow = {"color": FRONT_COLOUR, "symbol": "circle-open", "size": 7}
    _add_runs(figure, rest, say("figure.searched"), FRONT_COLOUR, say, marker=hollow, showlegend=True)
    x = axis(say("figure.nonzeros"), **COUNT_AXIS if logarithmic else {})
    return _laid_out(figure, say("figure.pareto"), x, metric_axis(metric, say), say)


def _add_front(
    figure: go.Figure, groups: Iterable[Sequence[Point]], name: str, tint: str, meta: str, say: Say
) -> None:
    """Draw runs, and a line through the mean of each group."""
    through = sorted((fmean(p.nonzeros for p in group), fmean(p.test for p in group)) for group in groups)
    x, y = zip(*through, strict=True) if through else ((), ())
    look = {"mode": "lines", "line": {"color": tint, "width": 2.5}, "hoverinfo": "skip", "meta": meta}
    figure.add_trace(go.Scatter(x=x, y=y, name=name, legendgroup=name, **look))
    _add_runs(figure, [point for group in groups for point in group], name, tint, say, legendgroup=name)


def _add_runs(
    figure: go.Figure, points: Sequence[Point], name: str, tint: str, say: Say, **options: Any
) -> None:
    at, value = attrgetter("nonzeros"), attrgetter("test")
    figure.add_trace(run_points(points, value, name, tint, say, at=at, **options))
