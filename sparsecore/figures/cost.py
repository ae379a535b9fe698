"""The cost of runs against ρ: training seconds, and non-zero weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from sparsecore.figures.style import (
    COUNT_AXIS,
    apply_layout,
    colour,
    interval_band,
    mean_line,
    run_points,
    value_range,
)
from sparsecore.runs.sweeps.curves import Point, by_method, means
from sparsecore.words import Say


def run_seconds(points: Sequence[Point], *, say: Say, logarithmic: bool = False) -> go.Figure:
    """Draw the training seconds of runs against ρ: means, 95 % intervals over seeds, single runs."""
    y = {"title": {"text": say("figure.seconds"), "standoff": 8}}
    figure = _against_density(points, lambda point: point.seconds, say)
    y |= value_range(figure, zero=True)
    return apply_layout(figure, say("figure.how_long"), y, say, logarithmic=logarithmic)


def weights_left(points: Sequence[Point], *, say: Say, logarithmic: bool = False) -> go.Figure:
    """Draw the number of non-zero weights in all matrices of a finished run against ρ."""
    y: dict[str, Any] = {"title": {"text": say("figure.nonzeros"), "standoff": 8}}
    figure = _against_density(points, lambda point: point.nonzeros, say)
    y |= COUNT_AXIS if logarithmic else value_range(figure, zero=True)
    return apply_layout(figure, say("figure.how_many"), y, say, logarithmic=logarithmic)


def _against_density(points: Sequence[Point], value: Callable[[Point], float], say: Say) -> go.Figure:
    figure = go.Figure()
    methods = by_method(points)
    for method, group in methods.items():
        tint, name, shown = colour(method), say(f"method.{method}"), means(group, value)
        figure.add_trace(interval_band(shown, tint, method))
        figure.add_trace(mean_line(shown, name, tint, say, legendgroup=method))
        figure.add_trace(run_points(group, value, name, tint, say, legendgroup=method))
    return figure
