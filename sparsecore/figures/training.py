"""Metric, loss and layer densities of one run against the training step."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import plotly.graph_objects as go

from sparsecore.figures.style import (
    LAYER_COLOURS,
    apply_layout,
    axis,
    colour,
    format_number,
    layer_name,
    metric_axis,
)
from sparsecore.words import Say

HEIGHT = 320
MAX_POINTS = 600  # points per line; more would be finer than print resolution
StepScalars = tuple[int, Mapping[str, Any]]  # a step and the scalars recorded there


def metric_while_training(records: Sequence[StepScalars], metric: str, method: str, say: Say) -> go.Figure:
    """Draw the training and test metric at every measurement: train thin, test bold."""
    measured = [(step, values["metrics"]) for step, values in records if values.get("metrics")]
    lines = []
    for part, width in (("train", 1.2), ("test", 3)):
        values = [(step, metrics[part].get(metric)) for step, metrics in measured]
        lines.append(_line(values, say(f"report.run.{part}"), colour(method), width, say))
    return _over_steps(lines, metric_axis(metric, say), say)


def loss_while_training(records: Sequence[StepScalars], method: str, say: Say) -> go.Figure:
    """Draw the training loss on a logarithmic axis."""
    name, points = say("report.run.loss"), [(step, values.get("loss")) for step, values in records]
    return _over_steps([_line(points, name, colour(method), 2, say)], axis(name, type="log"), say)


def density_while_training(records: Sequence[StepScalars], layers: Sequence[str], say: Say) -> go.Figure:
    """Draw the density of each weight matrix; `layers` are their names in order."""
    lines = [
        _line(
            [(step, values["density"][place]) for step, values in records],
            layer_name(layer, say),
            tint,
            2,
            say,
        )
        for place, (layer, tint) in enumerate(zip(layers, cycle(LAYER_COLOURS), strict=False))
    ]
    return _over_steps(lines, axis(say("figure.kept"), tickformat=".0%", range=[-0.03, 1.05]), say)


def _over_steps(lines: Sequence[go.Scatter], y: dict[str, Any], say: Say) -> go.Figure:
    shown = {"height": HEIGHT, "showlegend": len(lines) > 1}
    return apply_layout(go.Figure(lines), None, axis(say("paper.figure.step")), y, **shown)


def thin(line: Sequence[tuple[int, float | None]]) -> list[tuple[int, float | None]]:
    """Keep about `MAX_POINTS` points at an even stride, including the first and the last.

    >>> thin([(step, 0.0) for step in range(1201)])[-2:]
    [(1197, 0.0), (1200, 0.0)]
    """
    stride = -(-len(line) // MAX_POINTS) if line else 1
    kept = list(line[::stride])
    return kept + ([line[-1]] if line and kept[-1] != line[-1] else [])


def _line(
    points: Sequence[tuple[int, float | None]], name: str, tint: str, width: float, say: Say
) -> go.Scatter:
    points = thin(points)
    values = [(step, "" if value is None else format_number(value)) for step, value in points]
    return go.Scatter(
        x=[step for step, _ in points],
        y=[value for _, value in points],
        mode="lines",
        line={"color": tint, "width": width},
        name=name,
        customdata=[say("report.run.point", name=name, step=f"{step:,}", value=v) for step, v in values],
        hovertemplate="%{customdata}<extra></extra>",
    )
