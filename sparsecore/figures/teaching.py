"""Figures of the lessons and the challenge: descent, subsets, ceiling, storage, retention, leaderboard."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from sparsecore.engine.analysis.least_squares import N_TRUE, Errors
from sparsecore.engine.cards import TaskCard
from sparsecore.figures.style import (
    COUNT_AXIS,
    LAYER_COLOURS,
    apply_layout,
    axis,
    colour,
    legend_only,
    metric_axis,
    with_opacity,
)
from sparsecore.runs.insights.masks import RetentionForecast
from sparsecore.teaching.leaderboard import Entry
from sparsecore.words import Say

TEST, TRAIN = "#d55e00", "#0072b2"
CLASSES = ("#0072b2", "#e69f00")
FORMAT_COLOURS = {"dense": "#7f7f7f", "csr": "#0072b2", "bitmask": "#e69f00"}
SMALL, LOW = 420, 320


def _line(x: Sequence[float], y: Sequence[float], name: str, tint: str, **options: Any) -> go.Scatter:
    look = {"width": options.pop("width", 2.5), "color": tint, "dash": options.pop("dash", "solid")}
    return go.Scatter(x=x, y=y, mode=options.pop("mode", "lines"), name=name, line=look, **options)


def descent(values: Mapping[float, np.ndarray], say: Say) -> go.Figure:
    """Draw f after each step, one line per L (in units of L(f)); values: (steps,) each."""
    figure = go.Figure()
    for place, (ratio, value) in enumerate(values.items()):
        dash = "dash" if ratio < 1 else "solid"
        name = f"L = {ratio:g} L(f)"
        tint = LAYER_COLOURS[place % len(LAYER_COLOURS)]
        figure.add_trace(_line(np.arange(len(value)), value, name, tint, dash=dash, meta="descent"))
    x, y = axis(say("lessons.axis.step")), axis("f(wᵏ)", rangemode="tozero")
    return apply_layout(figure, say("lessons.figure.descent"), x, y)


def subset_errors(result: Errors, say: Say, *, tested: bool) -> go.Figure:
    """Draw the error against the number of kept weights; `tested` adds the test error and the noise floor."""
    figure = go.Figure(
        _line(result.sizes, result.train, say("figure.train"), TRAIN, mode="lines+markers", width=1.5)
    )
    if tested:
        band = {"fill": "toself", "fillcolor": with_opacity(TEST), "showlegend": False, "hoverinfo": "skip"}
        x, y = np.r_[result.sizes, result.sizes[::-1]], np.r_[result.high, result.low[::-1]]
        figure.add_trace(go.Scatter(x=x, y=y, mode="lines", line={"width": 0}, meta="band", **band))
        half = [[None, None, low, high] for low, high in zip(result.low, result.high, strict=True)]
        look = {"mode": "lines+markers", "width": 3.5, "customdata": half}
        figure.add_trace(_line(result.sizes, result.test, say("figure.test"), TEST, **look))
        floor = {"color": "#7f7f7f", "dash": "dash"}
        figure.add_hline(y=result.noise, line=floor, name=say("lessons.noise_floor"))
        note = {"xref": "paper", "x": 1, "y": result.noise, "yanchor": "bottom", "showarrow": False}
        figure.add_annotation(text=say("lessons.noise_floor"), xanchor="right", **note)
        figure.add_vline(x=N_TRUE, line={"color": "#7f7f7f", "dash": "dot"})
    x, y = axis(say("lessons.axis.s"), dtick=1), axis(say("lessons.axis.rmse"), rangemode="tozero")
    columns = [say("lessons.column.low"), say("lessons.column.high")]
    return apply_layout(figure, say("lessons.figure.subsets"), x, y, columns)


def spirals(points: np.ndarray, labels: np.ndarray, say: Say) -> go.Figure:
    """Draw the two classes in the plane; points: (k, 2)."""
    figure = go.Figure()
    for label, tint in enumerate(CLASSES):
        own = points[labels == label]
        marker = {"color": tint, "size": 5, "symbol": ("circle", "diamond")[label], "opacity": 0.8}
        name = say("paper.figure.class", number=label)
        figure.add_trace(
            go.Scatter(x=own[:, 0], y=own[:, 1], mode="markers", marker=marker, name=name, hoverinfo="skip")
        )
    hidden = {"showgrid": False, "showticklabels": False, "range": [-1.15, 1.15], "constrain": "domain"}
    y = {"scaleanchor": "x", **hidden}
    return apply_layout(figure, say("lessons.figure.spirals"), hidden, y, height=SMALL, dragmode=False)


def ceiling(noises: np.ndarray, best: np.ndarray, here: tuple[float, float], say: Say) -> go.Figure:
    """Draw the best possible accuracy against the angle noise, with a mark at `here`."""
    figure = go.Figure(_line(noises, best, say("lessons.ceiling"), TEST, showlegend=False))
    mark = {"mode": "markers+text", "marker": {"size": 13, "color": TEST}, "cliponaxis": False}
    note = {"text": [f"{here[1]:.1%}"], "textposition": "top right", "showlegend": False}
    figure.add_trace(go.Scatter(x=here[:1], y=here[1:], **mark, **note))
    x, y = axis(say("lessons.axis.noise")), metric_axis("accuracy", say, range=[0.45, 1.06])
    return apply_layout(figure, say("lessons.figure.ceiling"), x, y, height=LOW)


def storage(densities: np.ndarray, sizes: Mapping[str, np.ndarray], say: Say, *, bitmask: bool) -> go.Figure:
    """Draw the bytes relative to dense against the density, for dense, CSR and, with `bitmask`, bitmask."""
    figure = go.Figure()
    for name, size in sizes.items():
        if bitmask or name != "bitmask":
            share = size / sizes["dense"]
            figure.add_trace(_line(densities, share, say(f"lessons.format.{name}"), FORMAT_COLOURS[name]))
    x = axis(say("figure.density"), tickformat=".0%")
    y = axis(say("lessons.axis.bytes"), tickformat=".0%", rangemode="tozero")
    return apply_layout(figure, say("lessons.figure.storage"), x, y)


def speed(
    densities: Sequence[float], dense: float, csr: Sequence[float], at: float | None, say: Say
) -> go.Figure:
    """Draw the milliseconds of a matrix product against the density; a dotted line marks the break-even."""
    figure = go.Figure()
    dense_line = [1e3 * dense] * len(densities)
    figure.add_trace(_line(densities, dense_line, say("lessons.format.dense"), FORMAT_COLOURS["dense"]))
    times = [1e3 * value for value in csr]
    look = {"mode": "lines+markers"}
    figure.add_trace(_line(densities, times, say("lessons.format.csr"), FORMAT_COLOURS["csr"], **look))
    if at is not None:
        figure.add_vline(x=at, line={"color": TEST, "dash": "dot"})
    x = axis(say("figure.density"), type="log", tickvals=densities, tickformat=".0%")
    y = axis(say("lessons.axis.milliseconds"), type="log", tickformat="~g", dtick="D2")
    return apply_layout(figure, say("lessons.figure.speed"), x, y)


def retention(result: RetentionForecast, say: Say) -> go.Figure:
    """Draw the share of the final mask predicted at each step by counts and by the current mask."""
    figure = go.Figure()
    figure.add_trace(_line(result.steps, result.by_mask, say("lessons.by_mask"), TRAIN, width=1.5))
    figure.add_trace(_line(result.steps, result.by_counts, say("lessons.by_counts"), TEST, width=3.5))
    chance = {"dash": "dash", "width": 1.5}
    figure.add_trace(
        _line(result.steps[[0, -1]], [result.by_chance] * 2, say("lessons.by_chance"), "#7f7f7f", **chance)
    )
    figure.add_vline(x=result.last / 2, line={"color": "#7f7f7f", "dash": "dot"})
    y = axis(say("lessons.axis.foretold"), tickformat=".0%", range=[0, 1.03])
    return apply_layout(figure, say("lessons.figure.retention"), axis(say("lessons.axis.step")), y)


def leaderboard_figure(entries: Sequence[Entry], card: TaskCard, *, say: Say) -> go.Figure:
    """Draw one point per entry in its method's colour; names are in the table, not in the hover."""
    figure = go.Figure()
    for method in dict.fromkeys(entry.run.config.method for entry in entries):
        group = [entry for entry in entries if entry.run.config.method == method]
        x, y = [entry.nonzeros for entry in group], [entry.value for entry in group]
        about = {
            "customdata": [[entry.run.id, entry.rank] for entry in group],
            "name": say(f"method.{method}"),
        }
        look = {"marker": {"color": colour(method), "size": 11}, "hovertemplate": say("challenge.hover")}
        figure.add_trace(go.Scatter(x=x, y=y, mode="markers", **about, **look))
    limit = {"color": "#7f7f7f", "dash": "dash", "width": 1.5}
    figure.add_hline(y=card.challenge.limit, line=limit, name=say("figure.limit"))
    figure.add_trace(legend_only(say("figure.limit"), mode="lines", line=limit))
    y = metric_axis(card.metric.name, say)
    if "tickformat" in y:
        y["tickformat"] = ".1%"
    return apply_layout(figure, say("challenge.figure"), axis(say("challenge.weights"), **COUNT_AXIS), y)
