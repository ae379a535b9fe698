"""What a run costs and what is left: seconds, and weights that are not zero, against ρ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from sparsecore.figures.style import COUNT_AXIS, band, colour, finished, mean_line, run_points, scale
from sparsecore.runs.sweeps.curves import Point, by_method, means
from sparsecore.words import Say


def run_seconds(found: Sequence[Point], *, say: Say, logarithmic: bool = False) -> go.Figure:
    """Seconds of training a run against ρ, mean and 95 % interval over seeds; single runs as points."""
    y = {"title": {"text": say("figure.seconds"), "standoff": 8}}
    figure = _against_density(found, lambda point: point.seconds, say)
    y |= scale(figure, zero=True)
    return finished(figure, say("figure.how_long"), y, say, logarithmic=logarithmic)


def weights_left(found: Sequence[Point], *, say: Say, logarithmic: bool = False) -> go.Figure:
    """Weights that are not zero, counted in all matrices of a finished run, against ρ."""
    y: dict[str, Any] = {"title": {"text": say("figure.nonzeros"), "standoff": 8}}
    figure = _against_density(found, lambda point: point.nonzeros, say)
    y |= COUNT_AXIS if logarithmic else scale(figure, zero=True)
    return finished(figure, say("figure.how_many"), y, say, logarithmic=logarithmic)


def _against_density(found: Sequence[Point], value: Callable[[Point], float], say: Say) -> go.Figure:
    figure = go.Figure()
    methods = by_method(found)
    for method, own in methods.items():
        tint, name, shown = colour(method, tuple(methods)), say(f"method.{method}"), means(own, value)
        figure.add_trace(band(shown, tint, method))
        figure.add_trace(mean_line(shown, name, tint, say, legendgroup=method))
        figure.add_trace(run_points(own, value, name, tint, say, legendgroup=method))
    return figure
