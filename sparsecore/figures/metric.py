"""The metric against ρ: means with intervals, single runs, dense, and the printed results of the thesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import plotly.graph_objects as go

from sparsecore.engine.cards import in_percent, methods, reference
from sparsecore.figures.style import (
    HOVER_TEMPLATE,
    apply_layout,
    colour,
    error_bars,
    format_number,
    interval_band,
    legend_only,
    mean_line,
    run_points,
    value_range,
)
from sparsecore.paper.thesis import Printed
from sparsecore.runs.sweeps.curves import Part, Point, by_method, means
from sparsecore.words import Say

WIDTHS = {"test": 3, "train": 1}  # line widths: test is bold, train thin
THESIS_GROUP = "thesis"  # legend group of all marks of the thesis
THESIS_SYMBOL = "diamond-open"
DASHES = {"test": "solid", "train": "dot"}


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
    span = _density_range(points, thesis)
    for method, group in drawn.items():
        tint = colour(method)
        for part in parts:
            _draw_method(figure, group, part, method, tint, span, say, first=part == parts[0])
    _draw_thesis(figure, thesis, parts, say, alone=not points)
    _legend_entries(figure, points, thesis, parts, say)
    y = {"title": {"text": say(f"live.metric.{metric}"), "standoff": 8}} | value_range(figure)
    if in_percent(metric):
        y["tickformat"] = ".0%" if y["range"][1] - y["range"][0] > 0.05 else ".1%"
    return apply_layout(figure, say(f"figure.metric.{metric}"), y, say, logarithmic=logarithmic)


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
    def value(point: Point) -> float:
        return getattr(point, part)

    series = _series_name(method, part, say)
    shown = means(group, value)
    line = mean_line(shown, series, tint, say, width=WIDTHS[part], dash=DASHES[part], legendgroup=method)
    if method in methods() and "density" not in methods()[method].takes:
        line.update(x=span, y=line.y * 2, customdata=[*line.customdata] * 2)
        shown = [replace(mean, density=end) for mean in shown for end in span]
    line.update(showlegend=first, meta=f"mean {part}", error_y=None if first else error_bars(shown))
    if first:
        figure.add_trace(interval_band(shown, tint, method))
    figure.add_trace(line)
    dots = run_points(group, value, series, tint, say, legendgroup=method)
    if part == "train":
        dots.marker.size = [size - 3 for size in dots.marker.size]
    figure.add_trace(dots)


def _series_name(method: str, part: Part, say: Say) -> str:
    name = say(f"method.{method}")
    return name if part == "test" else say("figure.part", name=name, part=say(f"figure.{part}"))


def _density_range(points: Sequence[Point], thesis: Sequence[Printed]) -> tuple[float, float]:
    """Return the smallest and largest ρ drawn, the ends of the line of a method without a density."""
    densities = [point.density for point in points] + [printed.density for printed in thesis]
    return min(densities, default=0.05), 1.0


def _draw_thesis(
    figure: go.Figure, thesis: Sequence[Printed], parts: Sequence[Part], say: Say, *, alone: bool
) -> None:
    for part in parts:
        for method in dict.fromkeys(printed.method for printed in thesis):
            group = [printed for printed in thesis if printed.method == method]
            size = 11 if part == "test" else 7
            marker = {"symbol": THESIS_SYMBOL, "size": size, "color": colour(method), "line": {"width": 1.5}}
            figure.add_trace(
                go.Scatter(
                    x=[printed.density for printed in group],
                    y=[getattr(printed, part) for printed in group],
                    customdata=[[None, _printed_sentence(printed, part, say)] for printed in group],
                    name=_series_name(method, part, say),
                    mode="markers",
                    marker=marker,
                    hovertemplate=HOVER_TEMPLATE,
                    legendgroup=method if alone else THESIS_GROUP,
                    showlegend=False,
                    meta=f"thesis {part}",
                )
            )


def _printed_sentence(printed: Printed, part: Part, say: Say) -> str:
    return say(
        "figure.printed",
        name=say(f"method.{printed.method}"),
        part=say(f"figure.{part}"),
        density=f"{printed.density:g}",
        value=format_number(getattr(printed, part)),
        table=printed.table,
    )


def _legend_entries(
    figure: go.Figure, points: Sequence[Point], thesis: Sequence[Printed], parts: Sequence[Part], say: Say
) -> None:
    """Add legend entries for the marks: the training line, a collapsed run, the thesis."""
    grey = colour(reference())
    if not points:
        for method in dict.fromkeys(printed.method for printed in thesis):
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
