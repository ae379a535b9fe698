"""Shared parts of all figures: colours, axes, and the band, line and points of one method."""

import re
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import plotly.graph_objects as go

from sparsecore.engine.cards import in_percent, methods
from sparsecore.runs.sweeps.results import MeanPoint, Point
from sparsecore.words import Say

LAYER_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
KEEP_ALIVE_COLOUR = "#009e73"  # of the paper's column: the method global with a minimum kept
BLOCK_MATRICES = "query|key|value|expand|contract"
BAND_OPACITY = 0.16
GRID = {"showgrid": True, "gridcolor": "rgba(128,128,128,0.22)"}  # on light and on dark ground
HEIGHT = 440
MAX_POINTS = 300  # points per trace; more would overlap and take a browser seconds to draw
TEXT_SIZE = 12  # of legends and of notes in a figure
COUNT_AXIS = {"type": "log", "tickformat": ",~r", "dtick": "D2"}  # axis of counts, with ticks at 1, 2 and 5
HOVER_TEMPLATE = "%{customdata[1]}<extra></extra>"  # the hover text is a finished sentence in `customdata`


def colour(method: str) -> str:
    """Return the colour of a method or of the paper's column "keep_alive", the same in every figure.

    >>> colour("global"), colour("keep_alive")
    ('#e69f00', '#009e73')
    """
    return KEEP_ALIVE_COLOUR if method == "keep_alive" else methods()[method].colour


def layer_name(name: str, say: Say) -> str:
    """Return the display name of a layer: W and its number, or a Transformer block from 1 and its matrix."""
    if block := re.fullmatch(rf"blocks\.(\d+)(?:\.({BLOCK_MATRICES}))?", name):
        matrix = f" {say(f'live.layer.{block[2]}')}" if block[2] else ""
        return say("live.block_name", number=int(block[1]) + 1) + matrix
    linear = re.fullmatch(r"fc(\d+)", name)
    return f"W{linear[1]}" if linear else say("live.layer.head") if name == "head" else name


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
    for has_interval, run in groupby(means, key=lambda mean: mean.low is not None):
        if has_interval:
            segment = list(run)
            x += [*(m.density for m in segment), *(m.density for m in reversed(segment)), None]
            y += [*(m.high for m in segment), *(m.low for m in reversed(segment)), None]
    line = {"width": 1, "color": with_opacity(tint, 0.4)}
    look = {"fill": "toself", "fillcolor": with_opacity(tint), "mode": "lines", "line": line}
    hidden = {"hoverinfo": "skip", "legendgroup": group, "showlegend": False, "meta": "band"}
    return go.Scatter(x=x, y=y, **look, **hidden)


def mean_line(means: Sequence[MeanPoint], name: str, say: Say, **options: Any) -> go.Scatter:
    """Return a line through the means; the hover shows each mean with its interval."""
    return go.Scatter(
        x=[mean.density for mean in means],
        y=[mean.mean for mean in means],
        customdata=[[None, _mean_sentence(m, name, say), None, m.low, m.high, m.n] for m in means],
        mode="lines",
        hovertemplate=HOVER_TEMPLATE,
        name=name,
        **options,
    )


def _mean_sentence(mean: MeanPoint, name: str, say: Say) -> str:
    values = (
        {"value": mean.mean} if mean.low is None else {"value": mean.mean, "low": mean.low, "high": mean.high}
    )
    numbers = {key: format_number(value) for key, value in values.items()}
    word = "figure.single" if mean.low is None else "figure.mean"
    return say(word, name=name, density=f"{mean.density:g}", n=mean.n, **numbers)


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
    at: Callable[[Point], float] = attrgetter("density"),
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
    look = {"mode": "markers", "marker": marker, "selected": stay, "unselected": stay}
    about = {"name": name, "hovertemplate": HOVER_TEMPLATE, "showlegend": False, "meta": "runs"}
    return go.Scatter(
        x=[at(point) for point in points],
        y=[value(point) for point in points],
        customdata=[[p.run, _run_sentence(p, name, value(p), say), p.seed] for p in points],
        **(look | about | options),
    )


def _run_sentence(point: Point, name: str, value: float, say: Say) -> str:
    at = {"density": f"{point.density:g}", "seed": point.seed, "run": point.run}
    sentence = say("figure.run", name=name, value=format_number(value), **at)
    return sentence + (f"<br>{say('figure.collapsed')}" if point.collapsed else "")


def legend_only(name: str, **options: Any) -> go.Scatter:
    """Return a legend entry that explains a mark.

    It has a legend group of its own, because plotly stacks the entries of one group.
    """
    entry = {"name": name, "legendgroup": name, "showlegend": True, "hoverinfo": "skip", "meta": "key"}
    return go.Scatter(x=[None], y=[None], **(entry | options))


def axis(title: str, **options: Any) -> dict[str, Any]:
    """Return an axis with a title at the distance that all figures have."""
    return {"title": {"text": title, "standoff": 14}, **options}


def metric_axis(metric: str, say: Say, **options: Any) -> dict[str, Any]:
    """Return the axis of a metric, which has percent ticks where the metric is a share."""
    percent = {"tickformat": ".0%"} if in_percent(metric) else {}
    return axis(say(f"live.metric.{metric}"), **percent | options)


def apply_layout(
    figure: go.Figure,
    title: str | None,
    x: dict[str, Any],
    y: dict[str, Any],
    columns: Sequence[str] = (),
    **more: Any,
) -> go.Figure:
    """Set the figure's title, axes and legend, which lies below at full width.

    title: None if the page or report has it above. columns: headers of `customdata` from index 2 on.
    more: further parts of the layout.
    """
    heading = {"text": title, "x": 0, "xanchor": "left", "y": 1, "yanchor": "top", "pad": {"t": 8}}
    layout = {
        "meta": {"columns": list(columns)},
        "template": "plotly_white",
        "title": heading if title else None,
        "height": HEIGHT,
        "margin": {"l": 8, "r": 12, "t": 48 if title else 32, "b": 8},
        "hovermode": "closest",
        "dragmode": "zoom",
        "legend": {"orientation": "h", "x": 0, "yref": "container", "y": 0, "yanchor": "bottom"},
        "legend_font_size": TEXT_SIZE,
        "uirevision": "stay",
    }
    figure.update_layout(layout, **more)
    figure.update_annotations(font_size=TEXT_SIZE)
    look = GRID | {"automargin": True, "zeroline": False}
    figure.update_yaxes(**look | y)
    return figure.update_xaxes(**look | x)
