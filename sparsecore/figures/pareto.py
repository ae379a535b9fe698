"""The Pareto front of a search over per-layer densities, against runs with one density."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from sparsecore.engine.cards import in_percent, lower_is_better
from sparsecore.figures.style import COUNT_AXIS, apply_layout, colour, run_points
from sparsecore.runs.sweeps.curves import Point, by_method, pareto_front
from sparsecore.words import Say

FRONT_COLOUR = "#009e73"


def pareto(
    searched: Sequence[Point], uniform: Sequence[Point], *, metric: str, say: Say, logarithmic: bool = True
) -> go.Figure:
    """Draw the test metric against the kept weights: all searched runs, their front, and runs with one ρ.

    Weights are the non-zeros of all matrices, so that methods that exempt a layer compare fairly.
    """
    figure = go.Figure()
    for method, points in by_method(uniform).items():
        label = say("figure.one_density", method=say(f"method.{method}"))
        _line(figure, points, label, colour(method), "uniform", say, mean=True)
    pairs = [(point.nonzeros, point.test) for point in searched]
    best = pareto_front(pairs, lower=lower_is_better(metric))
    _line(figure, [searched[i] for i in best], say("figure.front"), FRONT_COLOUR, "front", say)
    rest = [searched[i] for i in range(len(searched)) if i not in best]
    hollow = {"color": FRONT_COLOUR, "symbol": "circle-open", "size": 7}
    name = say("figure.searched")
    dots = run_points(rest, _test, name, FRONT_COLOUR, say, at=_nonzeros, marker=hollow)
    dots.update(name=name, showlegend=True)
    figure.add_trace(dots)
    y: dict[str, Any] = {"title": {"text": say(f"live.metric.{metric}"), "standoff": 8}}
    if in_percent(metric):
        y["tickformat"] = ".0%"
    x = {"title": {"text": say("figure.nonzeros"), "standoff": 8}} | (COUNT_AXIS if logarithmic else {})
    return apply_layout(figure, say("figure.pareto"), y, say, logarithmic=logarithmic, x=x)


def _test(point: Point) -> float:
    return point.test


def _nonzeros(point: Point) -> float:
    return point.nonzeros


def _line(
    figure: go.Figure,
    points: Sequence[Point],
    name: str,
    tint: str,
    meta: str,
    say: Say,
    *,
    mean: bool = False,
) -> None:
    """Draw runs and a line through them; with `mean`, a line through their mean at each density."""
    by_density: dict[float, list[Point]] = {}
    for place, point in enumerate(points):
        by_density.setdefault(point.density if mean else place, []).append(point)
    groups = [
        (sum(p.nonzeros for p in group) / len(group), sum(p.test for p in group) / len(group))
        for group in by_density.values()
    ]
    through = sorted(groups)
    dots = run_points(points, _test, name, tint, say, at=_nonzeros, legendgroup=name)
    figure.add_trace(
        go.Scatter(
            x=[x for x, _ in through],
            y=[y for _, y in through],
            mode="lines",
            line={"color": tint, "width": 2.5},
            name=name,
            legendgroup=name,
            hoverinfo="skip",
            meta=meta,
        )
    )
    figure.add_trace(dots)
