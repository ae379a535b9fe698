"""What a run costs and what is left: seconds, and weights that are not zero, against ρ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from sparsecore.figures.drawing import RUN, Say, band, colour, finished, mean_sentence, run_points
from sparsecore.runs.curves import Point, by_method, means


def run_seconds(found: Sequence[Point], *, say: Say, logarithmic: bool = False) -> go.Figure:
    """Seconds of training a run against ρ, mean and 95 % interval over seeds; single runs as points."""
    y = {"title": {"text": say("figure.seconds"), "standoff": 8}, "rangemode": "tozero"}
    return _cost(found, lambda point: point.seconds, "figure.how_long", y, say, logarithmic)


def weights_left(found: Sequence[Point], *, say: Say, logarithmic: bool = False) -> go.Figure:
    """Weights that are not zero, counted in all matrices of a finished run, against ρ."""
    y: dict[str, Any] = {"title": {"text": say("figure.nonzeros"), "standoff": 8}}
    y |= {"type": "log", "dtick": 1, "tickformat": ",~r"} if logarithmic else {"rangemode": "tozero"}
    return _cost(found, lambda point: point.nonzeros, "figure.how_many", y, say, logarithmic)


def _cost(
    found: Sequence[Point],
    value: Callable[[Point], float],
    title: str,
    y: dict[str, Any],
    say: Say,
    logarithmic: bool,
) -> go.Figure:
    figure = go.Figure()
    methods = by_method(found)
    for method, own in methods.items():
        tint, name, shown = colour(method, tuple(methods)), say(f"method.{method}"), means(own, value)
        figure.add_trace(band(shown, tint, method))
        figure.add_trace(
            go.Scatter(
                x=[mean.density for mean in shown],
                y=[mean.mean for mean in shown],
                customdata=[[None, mean_sentence(mean, name, say)] for mean in shown],
                mode="lines",
                line={"color": tint, "width": 2.5},
                hovertemplate=RUN,
                name=name,
                legendgroup=method,
                meta="mean",
            )
        )
        figure.add_trace(run_points(own, value, name, tint, say, legendgroup=method))
    return finished(figure, say(title), y, say, logarithmic=logarithmic)
