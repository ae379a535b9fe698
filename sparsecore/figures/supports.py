"""All supports of a small least-squares problem: value, least L, and how often IHT ends there."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sparsecore.engine.analysis.least_squares import LeastSquares, Points
from sparsecore.figures.plane import (
    CELLS,
    KINDS,
    OPTIMAL,
    columns_of,
    contours,
    half_width,
    kinds,
    marks,
)
from sparsecore.figures.style import apply_layout, axis
from sparsecore.words import Say

MIN_LIPSCHITZ = 1e-3  # smaller values of L are drawn here, because the axis is logarithmic
MAX_SUPPORTS = 2_000  # supports drawn; more marks would overlap
MAX_ENDS = 24
MAX_LABELLED = 9  # bars with a label; with more bars the labels would overlap and only the hover shows f
MAX_TICK_RATIO = 200.0  # ratio of largest to least L; above it only powers of ten get ticks


def spectrum(points: Points, lipschitz: float, say: Say) -> go.Figure:
    """Draw f above the optimum against the least L that makes a point L-stationary, with a line at L."""
    few = min(len(points.value), MAX_SUPPORTS)
    shown = Points(*(getattr(points, name)[:few] for name in Points.__dataclass_fields__))
    least = np.clip(shown.smallest_lipschitz, MIN_LIPSCHITZ, None)
    least[np.isinf(least)] = np.nan
    places = np.stack([least, shown.value - shown.value[0]], axis=1)
    figure = go.Figure(marks(shown, lipschitz, places, say))
    if few > 100:
        for trace in figure.data:
            if trace.meta != OPTIMAL:
                trace.marker.size = 6
    figure.add_vline(x=lipschitz, line={"color": "#7f7f7f", "dash": "dash"}, name="L")
    text = {"text": f"L = {lipschitz:.3g}", "showarrow": False, "xanchor": "right"}
    figure.add_annotation(x=np.log10(lipschitz), y=1, yref="paper", **text)
    top = float(places[:, 1].max()) or 1.0
    # ticks at 1, 2, 5, or at powers of ten
    dtick = "D2" if np.nanmax(least) < MAX_TICK_RATIO * np.nanmin(least) else 1
    x = axis(say("theory.axis.least"), type="log", tickformat="~g", dtick=dtick)
    y = axis(say("theory.axis.above"), range=[-0.06 * top, 1.08 * top])
    return apply_layout(figure, say("theory.figure.spectrum"), x, y, columns_of(say))


def end_counts(values: Sequence[float], counts: Sequence[int], best: float, say: Say) -> go.Figure:
    """Draw how many starts end at each distinct limit point, best first; `best` is the optimum if known."""
    order = np.argsort(values)[:MAX_ENDS]
    tints = [KINDS["optimal" if values[i] <= best + 1e-9 else "stationary"]["color"] for i in order]
    bars = go.Bar(
        x=[str(rank + 1) for rank in range(len(order))],
        y=[counts[i] for i in order],
        marker={"color": tints},
        text=[f"{values[i]:.3g}" for i in order],
        customdata=[[None, None, float(values[i])] for i in order],
        hovertemplate="f = %{text}<br>%{y}<extra></extra>",
        textposition="outside" if len(order) <= MAX_LABELLED else "none",
        cliponaxis=False,
        showlegend=False,
        meta="ends",
    )
    x, y = axis(say("theory.axis.ends"), type="category"), axis(say("theory.axis.starts"))
    return apply_layout(go.Figure(bars), say("theory.figure.ends"), x, y, ["f"])


def three_planes(problem: LeastSquares, points: Points, lipschitz: float, say: Say) -> go.Figure:
    """Draw three weights of which two are non-zero: the feasible set is the three coordinate planes."""
    pairs = list(combinations(range(3), 2))
    titles = [f"w{'₁₂₃'[i]} · w{'₁₂₃'[j]}" for i, j in pairs]
    figure = make_subplots(rows=1, cols=3, subplot_titles=titles, horizontal_spacing=0.06)
    side = half_width(points)
    along = np.linspace(-side, side, CELLS)
    first, second = np.meshgrid(along, along)
    in_legend: set[str] = set()
    for column, (i, j) in enumerate(pairs, 1):
        square = np.zeros((CELLS, CELLS, 3))
        square[..., i], square[..., j] = first, second
        figure.add_trace(contours(problem.value(square), along), row=1, col=column)
        here = [k for k, support in enumerate(points.supports) if set(support) <= {i, j}]
        own = Points(*(getattr(points, name)[here] for name in Points.__dataclass_fields__))
        for kind, trace in _marks_of(points, own, here, lipschitz, own.w[:, [i, j]], say):
            trace.showlegend = kind not in in_legend
            in_legend.add(kind)
            figure.add_trace(trace, row=1, col=column)
    square, look = {"showgrid": False, "range": [-side, side]}, {"dragmode": False, "height": 400}
    columns = columns_of(say)
    return apply_layout(
        figure, say("theory.figure.planes"), square, square, columns, margin={"t": 72}, **look
    )


def _marks_of(
    points: Points, own: Points, here: list[int], lipschitz: float, places: np.ndarray, say: Say
) -> list[tuple[str, go.Scatter]]:
    """Return the marks of one plane's points, classified among all points."""
    among_all = kinds(points, lipschitz)
    found = []
    for trace in marks(own, lipschitz, places, say):
        kind = trace.meta
        if kind == OPTIMAL:  # the best point of its plane is optimal only if it is the best of all
            kind = among_all[here[0]]
            trace.update(marker=KINDS[kind], name=say(f"theory.kind.{kind}"), meta=kind)
        found.append((kind, trace))
    return found


def along_axes(problem: LeastSquares, points: Points, lipschitz: float, say: Say) -> go.Figure:
    """Draw three weights of which one is non-zero: f along each axis and its minimum there."""
    side = half_width(points)
    along = np.linspace(-side, side, CELLS * 2)
    figure = go.Figure()
    for place, dash in enumerate(("solid", "dash", "dot")):
        line = np.zeros((len(along), 3))
        line[:, place] = along
        look = {"color": "#7f7f7f", "dash": dash, "width": 2}
        name = f"w{'₁₂₃'[place]}"
        figure.add_trace(
            go.Scatter(x=along, y=problem.value(line), mode="lines", line=look, name=name, hoverinfo="skip")
        )
    places = np.stack([points.w.sum(axis=1), points.value], axis=1)
    figure.add_traces(marks(points, lipschitz, places, say))
    x, y = axis(say("theory.axis.size")), axis("f(w)")
    return apply_layout(figure, say("theory.figure.axes"), x, y, columns_of(say))
