"""Which layer keeps what: the density of every layer against ρ."""

from __future__ import annotations

import re
from collections.abc import Sequence

import plotly.graph_objects as go

from sparsecore.figures.style import (
    LAYER_COLOURS,
    Say,
    band,
    finished,
    legend_only,
    mean_line,
    run_points,
)
from sparsecore.runs.sweeps.curves import Point, means

WIDEST = 5  # the first layer's line: those that keep the same, as exempt ones do, show beside each other


def layer_densities(found: Sequence[Point], method: str, *, say: Say, logarithmic: bool = False) -> go.Figure:
    """The density of every layer of one method's runs against ρ, mean and 95 % interval over seeds.

    The dashed diagonal is what a layer would keep if all were treated alike. Single runs are points, whose
    run ids are in `customdata[0]`.
    """
    figure = go.Figure()
    own = [point for point in found if point.method == method]
    names = list(dict.fromkeys(layer.name for point in own for layer in point.layers))
    for place, layer in enumerate(names):

        def share(point: Point, layer: str = layer) -> float:
            return next(row.density for row in point.layers if row.name == layer)

        tint = LAYER_COLOURS[place % len(LAYER_COLOURS)]
        shown, name = means(own, share), layer_name(layer, say)
        figure.add_trace(band(shown, tint, layer))
        width, dash = max(1.5, WIDEST - 1.25 * place), "solid" if place < len(LAYER_COLOURS) else "dot"
        line = mean_line(shown, name, tint, say, width=width, dash=dash, legendgroup=layer)
        figure.add_trace(line.update(meta=f"layer {layer}"))
        figure.add_trace(run_points(own, share, name, tint, say, legendgroup=layer))
    _diagonal(figure, own, say)
    y = {"title": {"text": say("figure.kept"), "standoff": 8}, "tickformat": ".0%", "range": [-0.03, 1.05]}
    title = say("figure.layers", method=say(f"method.{method}"))
    return finished(figure, title, y, say, logarithmic=logarithmic)


def layer_name(name: str, say: Say) -> str:
    """A layer for people: W and its number, or the number of a Transformer's block."""
    block, linear = re.fullmatch(r"blocks\.(\d+)", name), re.fullmatch(r"fc(\d+)", name)
    if block:
        return say("live.block_name", number=int(block[1]) + 1)
    return f"W{linear[1]}" if linear else name


def _diagonal(figure: go.Figure, own: Sequence[Point], say: Say) -> None:
    densities = sorted({point.density for point in own})
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
