"""Shared parts of all figures: colours, axes, and the band, line and points of one method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import log10
from typing import Any

import plotly.graph_objects as go

from sparsecore.engine.cards import methods
from sparsecore.runs.sweeps.curves import MeanPoint, Point
from sparsecore.words import Say

LAYER_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
KEEP_ALIVE_COLOUR = "#009e73"  # of the paper's column: the method global with a minimum kept
BAND_OPACITY = 0.16
HEIGHT = 440
MAX_POINTS = 300  # points per trace; more would overlap and take a browser seconds to draw
DENSITY_TICKS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
COUNT_AXIS = {"type": "log", "tickformat": ",~r", "dtick": "D2"}  # axis of counts, with ticks at 1, 2 and 5
HOVER_TEMPLATE = "%{customdata[1]}<extra></extra>"  # the hover text is a finished sentence in `customdata`
# Word keys of the columns of `customdata` from index 2 on.
POINT_COLUMNS = ("runs.seed", "figure.low", "figure.high", "figure.n")


def colour(method: str) -> str:
    """Return the colour of a method or of the paper's column "keep_alive", the same in every figure.

    >>> colour("global"), colour("keep_alive")
    ('#e69f00', '#009e73')
    """
    return KEEP_ALIVE_COLOUR if method == "keep_alive" else methods()[method].colour


def with_opacity(hexadecimal: str, opacity: float = BAND_OPACITY) -> str:
    """Return a colour with an opacity.

    >>> with_opacity("#e69f00", 0.5)
    'rgba(230,159,0,0.5)'
    """
    red, green, blue = (int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def format_number(value: float) -> str:
    """Format a number for a hover: six significant digits; integers with thousands separators.

    >>> format_number(60500), format_number(0.0762931999)
    ('60,500', '0.0762932')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def interval_band(means: Sequence[MeanPoint], tint: str, group: str) -> go.Scatter:
    """Return the 95 % intervals as one area, interrupted where a single run has no interval."""
    x: list[float | None] = []
    y: list[float | None] = []
    for segment in _segments(means):
        x += [*(m.density for m in segment), *(m.density for m in reversed(segment)), None]
        y += [*(m.high for m in segment), *(m.low for m in reversed(segment)), None]
    return go.Scatter(
        x=x,
        y=y,
        fill="toself",
        fillcolor=with_opacity(tint),
        mode="lines",
        line={"width": 1, "color": with_opacity(tint, 0.4)},
        hoverinfo="skip",
        legendgroup=group,
        showlegend=False,
        meta="band",
    )


def error_bars(means: Sequence[MeanPoint]) -> dict[str, Any]:
    """Return the 95 % intervals as error bars of the mean line."""
    halves = [0.0 if mean.high is None else mean.high - mean.mean for mean in means]
    return {"type": "data", "array": halves, "thickness": 1, "width": 3}


def _segments(means: Sequence[MeanPoint]) -> Iterable[list[MeanPoint]]:
    segment: list[MeanPoint] = []
    for mean in means:
        if mean.low is not None:
            segment.append(mean)
        elif segment:
            yield segment
            segment = []
    if segment:
        yield segment


def mean_line(
    means: Sequence[MeanPoint],
    name: str,
    tint: str,
    say: Say,
    *,
    width: float = 2.5,
    dash: str = "solid",
    **options: Any,
) -> go.Scatter:
    """Return a line through the means; the hover shows each mean with its interval."""
    rows = [[None, mean_sentence(mean, name, say), None, mean.low, mean.high, mean.n] for mean in means]
    line = {
        "x": [mean.density for mean in means],
        "y": [mean.mean for mean in means],
        "customdata": rows,
        "mode": "lines",
        "line": {"color": tint, "width": width, "dash": dash},
        "hovertemplate": HOVER_TEMPLATE,
        "name": name,
        "meta": "mean",
    }
    return go.Scatter(**(line | options))


def mean_sentence(mean: MeanPoint, name: str, say: Say) -> str:
    """Return the hover text of a mean."""
    if mean.low is None:
        return say("figure.single", name=name, density=f"{mean.density:g}", value=format_number(mean.mean))
    low, high = format_number(mean.low), format_number(mean.high)
    values = {"value": format_number(mean.mean), "low": low, "high": high, "n": mean.n}
    return say("figure.mean", name=name, density=f"{mean.density:g}", **values)


def run_sentence(point: Point, name: str, value: float, say: Say) -> str:
    """Return the hover text of a run."""
    sentence = say(
        "figure.run",
        name=name,
        density=f"{point.density:g}",
        value=format_number(value),
        seed=point.seed,
        run=point.run,
    )
    return sentence + (f"<br>{say('figure.collapsed')}" if point.collapsed else "")


def point_stride(points: Sequence[Point]) -> int:
    """Return the stride at which runs are drawn as points: 1 up to `MAX_POINTS` runs.

    >>> point_stride(range(300)), point_stride(range(301))
    (1, 2)
    """
    return -(-len(points) // MAX_POINTS) or 1


def run_points(
    points: Sequence[Point],
    value: Callable[[Point], float],
    name: str,
    tint: str,
    say: Say,
    *,
    at: Callable[[Point], float] = lambda point: point.density,
    **options: Any,
) -> go.Scatter:
    """Return single runs as points, every `point_stride`-th of many; collapsed runs are crosses.

    `customdata[0]` is the run id, which a click reads.
    """
    points = points[:: point_stride(points)]
    marker = {
        "size": [10 if point.collapsed else 7 for point in points],
        "symbol": ["x" if point.collapsed else "circle" for point in points],
        "color": tint,
        "opacity": 0.75,
        "line": {"width": 0},
    }
    stay = {"marker": {"opacity": 0.75}}  # a click opens a run and must not fade the others
    return go.Scatter(
        x=[at(point) for point in points],
        y=[value(point) for point in points],
        customdata=[
            [point.run, run_sentence(point, name, value(point), say), point.seed] for point in points
        ],
        mode="markers",
        hovertemplate=HOVER_TEMPLATE,
        selected=stay,
        unselected=stay,
        name=name,
        showlegend=False,
        meta="runs",
        **({"marker": marker} | options),
    )


def legend_only(name: str, **options: Any) -> go.Scatter:
    """Return a legend entry that explains a mark.

    It has a legend group of its own, because plotly stacks the entries of one group.
    """
    entry = {"name": name, "legendgroup": name, "showlegend": True, "hoverinfo": "skip", "meta": "key"}
    return go.Scatter(x=[None], y=[None], **(entry | options))


def value_range(figure: go.Figure, *, zero: bool = False) -> dict[str, Any]:
    """Return a y range that shows every run and every printed value; with `zero` it starts at 0.

    Intervals of two or three seeds can be many times wider than the distance between runs: the frame cuts
    them off, and the hover shows them in full.
    """
    values = [y for trace in figure.data if trace.mode == "markers" for y in trace.y or () if y is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return {"range": [0 if zero else low - room, high + room]}


def apply_layout(
    figure: go.Figure,
    title: str,
    y: dict[str, Any],
    say: Say,
    *,
    logarithmic: bool,
    x: dict[str, Any] | None = None,
    columns: Sequence[str] | None = None,
) -> go.Figure:
    """Set the figure's title, axes and legend, which lies below at full width.

    columns: headers of `customdata` from index 2 on; by default those of means and runs.
    """
    figure.update_layout(
        meta={"columns": [say(word) for word in POINT_COLUMNS] if columns is None else list(columns)},
        template="plotly_white",
        title={"text": title, "x": 0, "xanchor": "left", "y": 1, "yanchor": "top", "pad": {"t": 8}},
        height=HEIGHT,
        margin={"l": 8, "r": 12, "t": 48, "b": 8},
        hovermode="closest",
        clickmode="event+select",
        dragmode="zoom",
        legend={"orientation": "h", "x": 0, "y": -0.22, "yanchor": "top", "font": {"size": 12}},
        uirevision="stay",
    )
    figure.update_yaxes(automargin=True, zeroline=False, **y)
    figure.update_xaxes(automargin=True, zeroline=False, **(x or density_axis(figure, say, logarithmic)))
    return figure


def density_axis(figure: go.Figure, say: Say, logarithmic: bool) -> dict[str, Any]:
    """Return the ρ axis over the drawn range, with ticks at common values."""
    drawn = [x for trace in figure.data for x in (trace.x or ()) if x is not None] or [0.05, 1.0]
    low = min(drawn)
    title = {"text": say("figure.density"), "standoff": 8}
    if not logarithmic:
        return {"title": title, "type": "linear", "range": [0, 1.03], "dtick": 0.1, "tickformat": "~g"}
    ticks = [tick for tick in DENSITY_TICKS if tick >= low * 0.8]
    return {
        "title": title,
        "type": "log",
        "range": [log10(low) - 0.06, 0.04],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }
