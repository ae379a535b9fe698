"""The metric against ρ: means with their intervals, single runs, dense, and what the thesis prints."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from sparsecore.figures.drawing import (
    RUN,
    Say,
    band,
    bars,
    colour,
    exact,
    finished,
    legend_only,
    mean_sentence,
    run_points,
)
from sparsecore.runs.curves import Mean, Part, Point, by_method, means
from sparsecore.thesis import Printed

WIDTHS = {"test": 3, "train": 1}  # test is bold, train thin
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
    _thesis(figure, thesis, parts, say)
    _keys(figure, found, thesis, parts, say)
    y = {"title": {"text": say(f"live.metric.{metric}"), "standoff": 8}, "rangemode": "normal"}
    if metric != "rmse":
        y["tickformat"] = ".0%" if _spread(figure) > 0.05 else ".1%"
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

    name = say(f"method.{method}")
    told = name if part == "test" else say("figure.part", name=name, part=say(f"figure.{part}"))
    shown = means(own, value)
    drawn = [Mean(x, m.mean, m.low, m.high, m.n) for m in shown for x in span] if method == "dense" else shown
    if first:
        figure.add_trace(band(drawn, tint, method))
    figure.add_trace(
        go.Scatter(
            x=[mean.density for mean in drawn],
            y=[mean.mean for mean in drawn],
            customdata=[[None, mean_sentence(mean, told, say)] for mean in (shown * 2)[: len(drawn)]],
            mode="lines",
            line={"color": tint, "width": WIDTHS[part], "dash": DASHES[part]},
            error_y=None if first else bars(drawn),
            hovertemplate=RUN,
            name=name,
            legendgroup=method,
            showlegend=first,
            meta=f"mean {part}",
        )
    )
    points = run_points(own, value, told, tint, say, legendgroup=method)
    if part == "train":
        points.marker.size = [size - 3 for size in points.marker.size]
    figure.add_trace(points)


def _span(found: Sequence[Point], thesis: Sequence[Printed]) -> tuple[float, float]:
    """From the smallest to the largest ρ that is drawn: so long is the line of dense."""
    densities = [point.density for point in found] + [printed.density for printed in thesis]
    return min(densities, default=0.05), 1.0


def _thesis(figure: go.Figure, thesis: Sequence[Printed], parts: Sequence[Part], say: Say) -> None:
    for part in parts:
        for method in dict.fromkeys(printed.method for printed in thesis):
            own = [printed for printed in thesis if printed.method == method]
            sentences = [
                say(
                    "figure.printed",
                    name=say(f"method.{method}"),
                    part=say(f"figure.{part}"),
                    density=f"{printed.density:g}",
                    value=exact(getattr(printed, part)),
                    table=printed.table,
                )
                for printed in own
            ]
            figure.add_trace(
                go.Scatter(
                    x=[printed.density for printed in own],
                    y=[getattr(printed, part) for printed in own],
                    customdata=[[None, sentence] for sentence in sentences],
                    mode="markers",
                    marker={
                        "symbol": "diamond-open",
                        "size": 11 if part == "test" else 7,
                        "color": colour(method),
                        "line": {"width": 1.5},
                    },
                    hovertemplate=RUN,
                    legendgroup="thesis",
                    showlegend=False,
                    meta=f"thesis {part}",
                )
            )


def _keys(
    figure: go.Figure, found: Sequence[Point], thesis: Sequence[Printed], parts: Sequence[Part], say: Say
) -> None:
    """The legend's entries for the marks: train's line, a collapsed run, the thesis."""
    grey = colour("dense")
    if not found:
        for method in dict.fromkeys(printed.method for printed in thesis):
            key = {"symbol": "diamond-open", "size": 11, "color": colour(method)}
            figure.add_trace(legend_only(say(f"method.{method}"), mode="markers", marker=key))
    elif len(parts) > 1:
        line = {"color": grey, "width": WIDTHS["train"], "dash": DASHES["train"]}
        figure.add_trace(legend_only(say("figure.train"), mode="lines", line=line))
    if any(point.collapsed for point in found):
        key = {"symbol": "x", "size": 10, "color": grey}
        figure.add_trace(legend_only(say("figure.collapsed"), mode="markers", marker=key))
    if thesis and found:
        key = {"symbol": "diamond-open", "size": 11, "color": grey}
        figure.add_trace(legend_only(say("figure.thesis"), mode="markers", marker=key, legendgroup="thesis"))


def _spread(figure: go.Figure) -> float:
    values = [y for trace in figure.data for y in (trace.y or ()) if y is not None]
    return max(values, default=1.0) - min(values, default=0.0)
