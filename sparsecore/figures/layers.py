"""The density of every layer against ρ."""

from __future__ import annotations

import re
from collections.abc import Sequence

import plotly.graph_objects as go

from sparsecore.figures.style import (
    LAYER_COLOURS,
    apply_layout,
    interval_band,
    legend_only,
    mean_line,
    run_points,
)
from sparsecore.runs.sweeps.curves import Point, means
from sparsecore.words import Say

# width of the first layer's line; later lines are thinner, so layers with equal density stay visible
MAX_WIDTH = 5


def layer_densities(
    points: Sequence[Point], method: str, *, say: Say, logarithmic: bool = False
) -> go.Figure:
    """Draw the density of every layer of one method against ρ, mean and 95 % interval over seeds.

    The dashed diagonal marks equal density in all layers. Single runs are points with their run id in
    `customdata[0]`.
    """
    figure = go.Figure()
    selected = [point for point in points if point.method == method]
    names = list(dict.fromkeys(layer.name for point in selected for layer in point.layers))
    for place, layer in enumerate(names):

        def share(point: Point, layer: str = layer) -> float:
            return next(row.density for row in point.layers if row.name == layer)

        tint = LAYER_COLOURS[place % len(LAYER_COLOURS)]
        shown, name = means(selected, share), layer_name(layer, say)
        figure.add_trace(interval_band(shown, tint, layer))
        width, dash = max(1.5, MAX_WIDTH - 1.25 * place), "solid" if place < len(LAYER_COLOURS) else "dot"
        line = mean_line(shown, name, tint, say, width=width, dash=dash, legendgroup=layer)
        figure.add_trace(line.update(meta=f"layer {layer}"))
        figure.add_trace(run_points(selected, share, name, tint, say, legendgroup=layer))
    _diagonal(figure, selected, say)
    y = {"title": {"text": say("figure.kept"), "standoff": 8}, "tickformat": ".0%", "range": [-0.03, 1.05]}
    title = say("figure.layers", method=say(f"method.{method}"))
    return apply_layout(figure, title, y, say, logarithmic=logarithmic)


def layer_name(name: str, say: Say) -> str:
    """Return the display name of a layer: W and its number, or the number of a Transformer block."""
    block, linear = re.fullmatch(r"blocks\.(\d+)", name), re.fullmatch(r"fc(\d+)", name)
    if block:
        return say("live.block_name", number=int(block[1]) + 1)
    return f"W{linear[1]}" if linear else name


def _diagonal(figure: go.Figure, selected: Sequence[Point], say: Say) -> None:
    densities = sorted({point.density for point in selected})
    line = {"color": "#7f7f7f", "width": 1, "dash": "dash"}
    if not densities:
        figure.add_trace(legend_only(say("figure.uniform"), mode="lines", line=line))
        return
    steps = [densities[0] + (densities[-1] - densities[0]) * i / 50 for i in range(51)]
    figure.add_trace(
        go.Scatter(
            x=steps,
            y=steps,
            mode="lines",
            line=line,
            name=say("figure.uniform"),
            hoverinfo="skip",
            meta="alike",
        )
    )
