"""Least squares in the plane under ‖w‖₀ ≤ 1: contours, axes, stationary points, iterates and basins."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from sparsecore.engine.analysis.least_squares import LeastSquares, Points
from sparsecore.figures.style import HOVER_TEMPLATE, apply_layout, axis, legend_only, with_opacity
from sparsecore.words import Say

OPTIMAL, STATIONARY, BASIC, NEITHER = "optimal", "stationary", "basic", "neither"
KINDS: dict[str, dict[str, Any]] = {
    OPTIMAL: {"color": "#009e73", "symbol": "star", "size": 17},
    STATIONARY: {"color": "#0072b2", "symbol": "circle", "size": 12},
    BASIC: {"color": "#d55e00", "symbol": "circle-open", "size": 12, "line": {"width": 2.5}},
    NEITHER: {"color": "#7f7f7f", "symbol": "x-thin", "size": 9, "line": {"width": 2, "color": "#7f7f7f"}},
}
# colours of the optimum's basin, then of the other limit points by f
BASINS = ("#009e73", "#0072b2", "#cc79a7")
NO_END = "#7f7f7f"
PATH = "#d55e00"
CELLS = 81
LEVELS = 22
PLANE_HEIGHT = 560


def kinds(points: Points, lipschitz: float) -> list[str]:
    """Classify each point for this L: optimal, L-stationary, only basic feasible, or neither.

    The optimum counts as optimal even if L is too small for it to be L-stationary.
    """
    names = np.where(points.basic_feasible, BASIC, NEITHER)
    names = np.where(points.stationary(lipschitz), STATIONARY, names)
    return np.where(points.value <= points.value[0] + 1e-12, OPTIMAL, names).tolist()


def half_width(points: Points) -> float:
    """Return half the side of a square around 0 that contains every point with a margin."""
    return 1.35 * float(np.abs(points.w).max()) + 0.2


def contours(value: np.ndarray, along: np.ndarray, **options: Any) -> go.Contour:
    """Return level lines of f, denser near its minimum; f is (cells, cells), w₂ along the rows.

    `z` is the square root of f above its minimum; `customdata` holds f itself.
    """
    return go.Contour(
        x=along,
        y=along,
        z=np.sqrt(np.maximum(value - value.min(), 0)).astype(np.float32),
        customdata=value,
        name="f(w)",
        ncontours=LEVELS,
        contours={"coloring": "lines"},
        colorscale=[[0, "#3f6f99"], [1, "#aebdca"]],
        line={"width": 1},
        showscale=False,
        hoverinfo="skip",
        meta="contours",
        **options,
    )


def plane(
    problem: LeastSquares,
    points: Points,
    lipschitz: float,
    say: Say,
    *,
    paths: Sequence[np.ndarray] = (),
    ends: np.ndarray | None = None,
    show_points: bool = True,
) -> go.Figure:
    """Draw the plane of a problem with two weights.

    paths: iterates, each (steps, 2). ends: (cells, cells), for each start of a grid the index in `points` of
    the limit point, −1 for none; drawn as coloured regions. show_points: whether to draw the points.
    """
    side = half_width(points)
    along = np.linspace(-side, side, CELLS)
    square = np.stack(np.meshgrid(along, along), axis=-1)
    figure = go.Figure()
    if ends is not None:
        figure.add_trace(_basins(ends, side, say))
    figure.add_trace(contours(problem.value(square), along))
    if ends is not None and (ends < 0).any():
        grey = {"symbol": "square", "size": 12, "color": with_opacity(NO_END, 0.35)}
        figure.add_trace(legend_only(say("theory.no_rest"), mode="markers", marker=grey))
    figure.add_traces(_feasible_axes(side, say))
    figure.add_traces([_path(iterates, say) for iterates in paths])
    if show_points:
        figure.add_traces(marks(points, lipschitz, points.w, say))
    square = {"range": [-side, side], "showgrid": False, "constrain": "domain"}
    x, y = axis("w₁", **square), axis("w₂", scaleanchor="x", **square)
    title = say("theory.figure.plane" if ends is None else "theory.figure.basins")
    return apply_layout(figure, title, x, y, columns_of(say, "k"), height=PLANE_HEIGHT, dragmode=False)


def _feasible_axes(side: float, say: Say) -> list[go.Scatter]:
    """Return the two coordinate axes, which are the feasible set, and their legend entry."""
    look = {"mode": "lines", "line": {"color": "#7f7f7f", "width": 5}}
    hidden = {"hoverinfo": "skip", "showlegend": False, "meta": "axis"}
    ends = (([-side, side], [0, 0]), ([0, 0], [-side, side]))
    return [
        *(go.Scatter(x=x, y=y, **look, **hidden) for x, y in ends),
        legend_only(say("theory.feasible"), **look),
    ]


def columns_of(say: Say, *more: str) -> list[str]:
    """Return the headers of the point columns of `marks` (support, f, least L), then `more`."""
    return [say("theory.column.support"), "f", say("theory.column.least"), *more]


def _basins(ends: np.ndarray, side: float, say: Say) -> go.Heatmap:
    along = np.linspace(-side, side, ends.shape[0])
    shades = [with_opacity(NO_END, 0.35), *(with_opacity(tint, 0.3) for tint in BASINS)]
    share = 1 / len(shades)
    scale = [(share * (i + end), shade) for i, shade in enumerate(shades) for end in (0, 1)]
    drawn = np.minimum(ends, len(BASINS) - 1)
    options = {"zmin": -1.5, "zmax": len(BASINS) - 0.5, "showscale": False, "hoverinfo": "skip"}
    name = say("theory.column.end")
    return go.Heatmap(
        x=along, y=along, z=drawn, customdata=ends, colorscale=scale, name=name, meta="basins", **options
    )


def _path(iterates: np.ndarray, say: Say) -> go.Scatter:
    """Return the iterates with connecting lines; the start is hollow."""
    sizes = [11] + [6] * (len(iterates) - 1)
    return go.Scatter(
        x=iterates[:, 0],
        y=iterates[:, 1],
        mode="lines+markers",
        line={"color": PATH, "width": 2},
        marker={"size": sizes, "color": PATH, "symbol": ["circle-open"] + ["circle"] * (len(iterates) - 1)},
        customdata=[
            [None, f"k = {k}<br>w = ({w[0]:.3g}, {w[1]:.3g})", None, None, None, k]
            for k, w in enumerate(iterates)
        ],
        hovertemplate=HOVER_TEMPLATE,
        name=say("theory.iterates"),
        meta="path",
    )


def marks(points: Points, lipschitz: float, places: np.ndarray, say: Say, **options: Any) -> list[go.Scatter]:
    """Return the points by kind at `places` (k, 2); the hover shows support, f and the least L."""
    names = kinds(points, lipschitz)
    traces = []
    for kind, marker in KINDS.items():
        own = [i for i, is_ in enumerate(names) if is_ == kind]
        if own:
            rows = [[None, *_hover_row(points, i, say)] for i in own]
            look = {"mode": "markers", "marker": marker, "hovertemplate": HOVER_TEMPLATE, "meta": kind}
            about = {"customdata": rows, "name": say(f"theory.kind.{kind}")}
            traces.append(go.Scatter(x=places[own, 0], y=places[own, 1], **look, **about, **options))
    return traces


def _hover_row(points: Points, i: int, say: Say) -> list[Any]:
    """Return the hover text of a point, then its columns."""
    support = ", ".join(str(place + 1) for place in points.supports[i])
    least = points.smallest_lipschitz[i]
    bound = "∞" if np.isinf(least) else f"{least:.3g}"
    sentence = say("theory.hover", support=support, value=f"{points.value[i]:.4g}", least=bound)
    return [sentence, support, float(points.value[i]), float(least)]
