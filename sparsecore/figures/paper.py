"""Counterparts of the paper's figures: pure functions from pictures of runs to a plotly figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sparsecore.engine.cards import methods
from sparsecore.engine.training.frame_layout import FULL
from sparsecore.engine.training.frame_reading import Matrix
from sparsecore.figures.style import colour, with_opacity
from sparsecore.paper.pictures import Kind, PaperFigure, Picture
from sparsecore.words import Say

HEIGHT = 340
TEXT_SIZE = 13
CLASS_COLOURS = ("#0072b2", "#d55e00")  # Okabe–Ito blue and vermilion
CHANCE_SCALE = [[0.0, CLASS_COLOURS[0]], [0.5, "#f4f4f4"], [1.0, CLASS_COLOURS[1]]]
POINT_COLOUR = "#8a8a8a"
MIN_COLUMNS = 5  # minimum drawn width of a matrix in columns; narrower panels have overlapping ticks


def paper_figure(figure: PaperFigure, pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the counterpart of one of the paper's figures from the runs it shows, in order."""
    return BUILDERS[figure.kind](pictures, say)


def run_name(picture: Picture, say: Say) -> str:
    """Return a short name of a run: method and ρ."""
    if not methods()[picture.method].constrained:
        return say("paper.figure.dense")
    return say("paper.figure.shot", method=say(f"method.{picture.method}"), density=f"{picture.density:g}")


def counts(pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the retention count of each weight, one panel per layer with a common scale; bright is often."""
    matrices = pictures[0].matrices
    figure = _matrix_panels(matrices, say)
    most = max(int(matrix.array("count").max()) for matrix in matrices)
    for place, matrix in enumerate(matrices, start=1):
        times = say("paper.figure.times")
        hover = f"{say('paper.figure.from')} %{{x}}, {say('paper.figure.to')} %{{y}}: %{{z:,}} {times}"
        cells = go.Heatmap(
            z=matrix.array("count"),
            name=times,
            coloraxis="coloraxis",
            hovertemplate=f"{hover}<extra></extra>",
            xgap=1,
            ygap=1,
        )
        figure.add_trace(cells, row=1, col=place)
    bar = {"title": {"text": say("paper.figure.times"), "side": "right"}, "thickness": 12}
    figure.update_layout(coloraxis={"colorscale": "Viridis", "cmin": 0, "cmax": most, "colorbar": bar})
    return _with_layout(figure)


def mask(pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the positions of the non-zero final weights, one panel per layer, in the method's colour."""
    matrices = pictures[0].matrices
    figure = _matrix_panels(matrices, say)
    tint = colour(pictures[0].method)
    words = np.array([say("paper.figure.zero"), say("paper.figure.kept")])
    for place, matrix in enumerate(matrices, start=1):
        kept = matrix.mask.astype(np.uint8)
        hover = f"{say('paper.figure.from')} %{{x}}, {say('paper.figure.to')} %{{y}}: %{{text}}"
        cells = go.Heatmap(
            z=kept,
            text=words[kept],
            name=say("paper.figure.kept"),
            zmin=0,
            zmax=1,
            colorscale=[[0, with_opacity("#808080", 0.14)], [1, tint]],
            showscale=False,
            hovertemplate=f"{hover}<extra></extra>",
            xgap=1,
            ygap=1,
        )
        figure.add_trace(cells, row=1, col=place)
    return _with_layout(figure)


def _matrix_panels(matrices: Sequence[Matrix], say: Say) -> go.Figure:
    """Return one panel per layer, as wide as its columns, titled with its number of kept weights."""
    titles = [
        say(
            "paper.figure.layer",
            name=f"W{place}",
            kept=f"{int(matrix.mask.sum()):,}",
            total=f"{math.prod(matrix.shape):,}",
        )
        for place, matrix in enumerate(matrices, start=1)
    ]
    widths = [max(MIN_COLUMNS, matrix.shape[1]) for matrix in matrices]
    figure = make_subplots(
        rows=1, cols=len(matrices), column_widths=widths, subplot_titles=titles, horizontal_spacing=0.09
    )
    figure.update_xaxes(showgrid=False, zeroline=False, title=say("paper.figure.from"), dtick=5)
    figure.update_yaxes(showgrid=False, zeroline=False, autorange="reversed", dtick=5)
    figure.update_yaxes(title=say("paper.figure.to"), col=1)
    for place, matrix in enumerate(matrices, start=1):
        rows, columns = matrix.shape
        if columns == 1:
            figure.update_xaxes(tickvals=[0], col=place)
        if rows == 1:
            figure.update_yaxes(tickvals=[0], col=place)
    return figure


def fits(pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the fitted curve of each run over the training points, side by side on equal axes."""
    figure = _side_by_side(pictures, say)
    for place, picture in enumerate(pictures, start=1):
        first, scene = place == 1, picture.scene
        (train_x, train_y), (grid_x, grid_y) = scene.curve("train"), scene.curve("grid")
        dots = {"color": POINT_COLOUR, "size": 4, "opacity": 0.5}
        dash = {"color": "#d55e00", "width": 2, "dash": "dash"}
        line = {"color": colour(picture.method), "width": 3}
        name = run_name(picture, say)
        traces = (
            go.Scatter(
                x=train_x,
                y=train_y,
                mode="markers",
                marker=dots,
                name=say("paper.figure.points"),
                legendgroup="points",
                showlegend=first,
            ),
            go.Scatter(
                x=grid_x,
                y=grid_y,
                mode="lines",
                line=dash,
                name=say("paper.figure.true"),
                legendgroup="true",
                showlegend=first,
            ),
            go.Scatter(x=grid_x, y=picture.frame.picture("curve"), mode="lines", line=line, name=name),
        )
        for trace in traces:
            figure.add_trace(trace, row=1, col=place)
    figure.update_xaxes(title="x", zeroline=False)
    figure.update_yaxes(title="y", zeroline=False, matches="y")
    return _with_layout(figure, legend=True)


def points(pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the two spirals: training points filled, test points open."""
    figure = go.Figure()
    for trace in _classes(pictures[0], say, size=5):
        figure.add_trace(trace)
    return _with_layout(_equal_axes(figure), legend=True)


def boundaries(pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the probability of class 1 over the plane with the points, one panel per run."""
    figure = _side_by_side(pictures, say)
    for place, picture in enumerate(pictures, start=1):
        edge, cells = picture.meta["edge"], picture.meta["grid"]
        centres = (np.arange(cells) + 0.5) / cells * 2 * edge - edge
        chance = picture.frame.picture("boundary").reshape(cells, cells) / FULL
        plane = go.Heatmap(
            x=centres,
            y=centres,
            z=chance.astype(np.float32),
            name=say("paper.figure.chance"),
            coloraxis="coloraxis",
            hovertemplate="x %{x:.2f}, y %{y:.2f}: %{z:.0%}<extra></extra>",
        )
        figure.add_trace(plane, row=1, col=place)
        for trace in _classes(picture, say, size=3, legend=place == 1):
            figure.add_trace(trace, row=1, col=place)
    bar = {
        "title": {"text": say("paper.figure.chance"), "side": "right"},
        "thickness": 12,
        "tickformat": ".0%",
    }
    figure.update_layout(coloraxis={"colorscale": CHANCE_SCALE, "cmin": 0, "cmax": 1, "colorbar": bar})
    return _with_layout(_equal_axes(figure), legend=True)


def _classes(picture: Picture, say: Say, size: int, *, legend: bool = True) -> list[go.Scatter]:
    """Return the points of each class with a marker shape of its own."""
    xy, labels = picture.scene.classes
    tested = np.arange(len(labels)) >= picture.meta["train"]
    traces = []
    for number, shape in enumerate(("circle", "square")):
        selected = labels == number
        symbols = np.where(tested[selected], f"{shape}-open", shape)
        edge = {"width": 0.5, "color": "#ffffff"}
        marker = {"size": size, "color": CLASS_COLOURS[number], "symbol": symbols.tolist(), "line": edge}
        traces.append(
            go.Scatter(
                x=xy[selected, 0],
                y=xy[selected, 1],
                mode="markers",
                marker=marker,
                name=say("paper.figure.class", number=number),
                legendgroup=str(number),
                showlegend=legend,
                hoverinfo="skip",
            )
        )
    return traces


def epochs(pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the test accuracy of text runs during training, each in its method's colour."""
    figure = go.Figure()
    counted = all(picture.meta.get("steps_an_epoch") for picture in pictures)
    for picture in pictures:
        steps = picture.arrays["epochs.step"]
        figure.add_trace(
            go.Scatter(
                x=steps / picture.meta["steps_an_epoch"] if counted else steps,
                y=100 * picture.arrays["epochs.test"],
                mode="lines+markers",
                marker={"size": 5},
                line={"color": colour(picture.method), "width": 3},
                name=run_name(picture, say),
            )
        )
    figure.update_xaxes(title=say("paper.figure.epoch" if counted else "paper.figure.step"), zeroline=False)
    figure.update_yaxes(title=say("paper.figure.accuracy"), zeroline=False)
    return _with_layout(figure, legend=True)


def _side_by_side(pictures: Sequence[Picture], say: Say) -> go.Figure:
    names = [run_name(picture, say) for picture in pictures]
    return make_subplots(rows=1, cols=len(pictures), subplot_titles=names, horizontal_spacing=0.08)


def _equal_axes(figure: go.Figure) -> go.Figure:
    """Give both axes equal units."""
    figure.update_xaxes(title="x", zeroline=False, constrain="domain")
    figure.update_yaxes(title="y", zeroline=False, constrain="domain")
    for axis in list(figure.select_yaxes()):
        axis.scaleanchor = (axis.plotly_name or "yaxis").replace("yaxis", "x")
    return figure


def _with_layout(figure: go.Figure, *, legend: bool = False) -> go.Figure:
    figure.update_annotations(font_size=TEXT_SIZE)
    figure.update_layout(
        template="plotly_white",
        height=HEIGHT + (40 if legend else 0),
        margin={"l": 8, "r": 8, "t": 32, "b": 8},
        showlegend=legend,
        legend={"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top", "font": {"size": 12}},
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


BUILDERS: dict[Kind, Callable[[Sequence[Picture], Say], go.Figure]] = {
    "counts": counts,
    "mask": mask,
    "fit": fits,
    "points": points,
    "boundary": boundaries,
    "epochs": epochs,
}
