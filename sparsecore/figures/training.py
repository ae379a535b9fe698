"""Metric, loss and layer densities of one run against the training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from sparsecore.figures.layers import layer_name
from sparsecore.figures.style import LAYER_COLOURS, colour, format_number
from sparsecore.words import Say

HEIGHT = 320
MAX_POINTS = 600  # points per line; more would be finer than print resolution
StepScalars = tuple[int, Mapping[str, Any]]  # a step and the scalars recorded there


def metric_while_training(records: Sequence[StepScalars], metric: str, method: str, say: Say) -> go.Figure:
    """Draw the training and test metric at every measurement: train thin, test bold."""
    measured = [(step, values["metrics"]) for step, values in records if values.get("metrics")]
    figure = go.Figure()
    for part, width in (("train", 1.2), ("test", 3)):
        line = [(step, metrics[part].get(metric)) for step, metrics in measured]
        name = say(f"report.run.{part}")
        figure.add_trace(_line(thin(line), name, colour(method), width, say))
    figure.update_yaxes(title=metric)
    return _finished(figure, say)


def loss_while_training(records: Sequence[StepScalars], method: str, say: Say) -> go.Figure:
    """Draw the training loss on a logarithmic axis."""
    line = [(step, values.get("loss")) for step, values in records]
    figure = go.Figure(_line(thin(line), say("report.run.loss"), colour(method), 2, say))
    figure.update_yaxes(title=say("report.run.loss"), type="log")
    return _finished(figure, say)


def density_while_training(records: Sequence[StepScalars], layers: Sequence[str], say: Say) -> go.Figure:
    """Draw the density of each weight matrix; `layers` are their names in order."""
    figure = go.Figure()
    for place, layer in enumerate(layers):
        line = [(step, values["density"][place]) for step, values in records]
        tint = LAYER_COLOURS[place % len(LAYER_COLOURS)]
        figure.add_trace(_line(thin(line), layer_name(layer, say), tint, 2, say))
    figure.update_yaxes(title=say("figure.kept"), tickformat=".0%", range=[-0.03, 1.05])
    return _finished(figure, say)


def thin(line: Sequence[tuple[int, float | None]]) -> list[tuple[int, float | None]]:
    """Keep about `MAX_POINTS` points at an even stride, including the first and the last.

    >>> thin([(step, 0.0) for step in range(1201)])[-2:]
    [(1197, 0.0), (1200, 0.0)]
    """
    stride = -(-len(line) // MAX_POINTS) if line else 1
    kept = list(line[::stride])
    return kept + ([line[-1]] if line and kept[-1] != line[-1] else [])


def _line(
    line: Sequence[tuple[int, float | None]], name: str, tint: str, width: float, say: Say
) -> go.Scatter:
    sentences = [
        say(
            "report.run.point",
            name=name,
            step=f"{step:,}",
            value="" if value is None else format_number(value),
        )
        for step, value in line
    ]
    return go.Scatter(
        x=[step for step, _ in line],
        y=[value for _, value in line],
        mode="lines",
        line={"color": tint, "width": width},
        name=name,
        customdata=sentences,
        hovertemplate="%{customdata}<extra></extra>",
    )


def _finished(figure: go.Figure, say: Say) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=HEIGHT,
        margin={"l": 8, "r": 12, "t": 16, "b": 8},
        showlegend=len(figure.data) > 1,
        legend={"orientation": "h", "x": 0, "y": -0.25, "yanchor": "top"},
    )
    figure.update_xaxes(title=say("paper.figure.step"), automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    return figure
