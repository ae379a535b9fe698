"""The metric against ρ: means with their intervals, single runs, dense, and what the thesis prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import plotly.graph_objects as go

from sparsecore.figures.style import (
    RUN,
    band,
    bars,
    colour,
    exact,
    finished,
    legend_only,
    mean_line,
    run_points,
    scale,
)
from sparsecore.paper.thesis import Printed
from sparsecore.runs.sweeps.curves import Part, Point, by_method, means
from sparsecore.words import Say

WIDTHS = {"test": 3, "train": 1}  # test is bold, train thin
THESIS = "thesis"  # the group of all its marks in the legend
OPEN = "diamond-open"
DASHES = {"test": "solid", "train": "dot"}


def metric_curve(
    found: Sequence[Point],
    thesis: Sequence[Printed] = (),
    *,
    metric: str,
    say: Say,
    parts: Sequence[Part] = ("test",),
    logarithmic: bool = False,
) -> go.Figure:
    """The metric of finished runs against ρ, one colour a method.

    A line through the means with the 95 % interval as a band, single runs as points (a click finds the run's
    id in `customdata[0]`), collapsed ones as crosses, dense as a horizontal line, the thesis as open
    diamonds. Beside test, train is thin and its intervals are bars.
    """
    figure = go.Figure()
    methods = by_method(found)
    span = _span(found, thesis)
    for method, own in methods.items():
        tint = colour(method, tuple(methods))
        for part in parts:
            _draw(figure, own, part, method, tint, span, say, first=part == parts[0])
    _thesis(figure, thesis, parts, say, alone=not found)
    _keys(figure, found, thesis, parts, say)
    y = {"title": {"text": say(f"live.metric.{metric}"), "standoff": 8}} | scale(figure)
    if metric != "rmse":
        y["tickformat"] = ".0%" if y["range"][1] - y["range"][0] > 0.05 else ".1%"
    return finished(figure, say(f"figure.metric.{metric}"), y, say, logarithmic=logarithmic)


def _draw(
    figure: go.Figure,
    own: Sequence[Point],
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

    told = _told(method, part, say)
    shown = means(own, value)
    line = mean_line(shown, told, tint, say, width=WIDTHS[part], dash=DASHES[part], legendgroup=method)
    if method == "dense":
        line.update(x=span, y=line.y * 2, customdata=[*line.customdata] * 2)
        shown = [replace(mean, density=end) for mean in shown for end in span]
    line.update(showlegend=first, meta=f"mean {part}", error_y=None if first else bars(shown))
    if first:
        figure.add_trace(band(shown, tint, method))
    figure.add_trace(line)
    points = run_points(own, value, told, tint, say, legendgroup=method)
    if part == "train":
        points.marker.size = [size - 3 for size in points.marker.size]
    figure.add_trace(points)


def _told(method: str, part: Part, say: Say) -> str:
    name = say(f"method.{method}")
    return name if part == "test" else say("figure.part", name=name, part=say(f"figure.{part}"))


def _span(found: Sequence[Point], thesis: Sequence[Printed]) -> tuple[float, float]:
    """From the smallest to the largest ρ that is drawn: so long is the line of dense."""
    densities = [point.density for point in found] + [printed.density for printed in thesis]
    return min(densities, default=0.05), 1.0


def _thesis(
    figure: go.Figure, thesis: Sequence[Printed], parts: Sequence[Part], say: Say, *, alone: bool
) -> None:
    for part in parts:
        for method in dict.fromkeys(printed.method for printed in thesis):
            own = [printed for printed in thesis if printed.method == method]
            size = 11 if part == "test" else 7
            marker = {"symbol": OPEN, "size": size, "color": colour(method), "line": {"width": 1.5}}
            figure.add_trace(
                go.Scatter(
                    x=[printed.density for printed in own],
                    y=[getattr(printed, part) for printed in own],
                    customdata=[[None, _printed_sentence(printed, part, say)] for printed in own],
                    name=_told(method, part, say),
                    mode="markers",
                    marker=marker,
                    hovertemplate=RUN,
                    legendgroup=method if alone else THESIS,
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
        value=exact(getattr(printed, part)),
        table=printed.table,
    )


def _keys(
    figure: go.Figure, found: Sequence[Point], thesis: Sequence[Printed], parts: Sequence[Part], say: Say
) -> None:
    """The legend's entries for the marks: train's line, a collapsed run, the thesis."""
    grey = colour("dense")
    if not found:
        for method in dict.fromkeys(printed.method for printed in thesis):
            key = {"symbol": OPEN, "size": 11, "color": colour(method)}
            name = say(f"method.{method}")
            figure.add_trace(legend_only(name, mode="markers", marker=key, legendgroup=method))
    elif len(parts) > 1:
        line = {"color": grey, "width": WIDTHS["train"], "dash": DASHES["train"]}
        figure.add_trace(legend_only(say("figure.train"), mode="lines", line=line))
    if any(point.collapsed for point in found):
        key = {"symbol": "x", "size": 10, "color": grey}
        figure.add_trace(legend_only(say("figure.collapsed"), mode="markers", marker=key))
    if thesis and found:
        key = {"symbol": OPEN, "size": 11, "color": grey}
        figure.add_trace(legend_only(say("figure.thesis"), mode="markers", marker=key, legendgroup=THESIS))
