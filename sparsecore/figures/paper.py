"""Counterparts of the paper's figures: pure functions from pictures of runs to a plotly figure."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sparsecore.engine.cards import methods, tasks
from sparsecore.engine.training.frame_layout import FULL
from sparsecore.engine.training.frame_reading import Matrix
from sparsecore.figures.style import apply_layout, axis, colour, with_opacity
from sparsecore.figures.sweep import metric_curve
from sparsecore.paper.pictures import Kind, PaperFigure, Picture
from sparsecore.paper.reproduction import Reproduction
from sparsecore.paper.thesis import paper_table, printed
from sparsecore.words import Say

HEIGHT, HEIGHT_WITH_LEGEND = 340, 380
CLASS_COLOURS = ("#0072b2", "#d55e00")  # Okabe–Ito blue and vermilion
CHANCE_SCALE = [[0.0, CLASS_COLOURS[0]], [0.5, "#f4f4f4"], [1.0, CLASS_COLOURS[1]]]
POINT_COLOUR = "#8a8a8a"
MIN_COLUMNS = 5  # minimum drawn width of a matrix in columns; narrower panels have overlapping ticks


def paper_figure(figure: PaperFigure, pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the counterpart of one of the paper's figures from the runs it shows, in order."""
    return BUILDERS[figure.kind](pictures, say)


def paper_curve(reproduction: Reproduction, say: Say) -> go.Figure:
    """Draw the metric of a reproduction and the printed results against ρ, without a title."""
    task = paper_table(reproduction.table).task
    look = {"metric": tasks()[task].metric.name, "say": say, "logarithmic": True}
    return metric_curve(reproduction.points(), printed(task), **look).update_layout(title=None)


def paper_title(figure: PaperFigure, say: Say) -> str:
    """Return the number and the question of one of the paper's figures."""
    number = say("paper.figure.number", number=figure.number)
    return f"{number} · {say(f'paper.figure.{figure.number}')}"


def run_name(picture: Picture, say: Say) -> str:
    """Return a short name of a run: method and ρ."""
    if not methods()[picture.method].constrained:
        return say("paper.figure.dense")
    return say("paper.figure.shot", method=say(f"method.{picture.method}"), density=f"{picture.density:g}")


def counts(pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the retention count of each weight, one panel per layer with a common scale; bright is often."""
    times, matrices = say("paper.figure.times"), pictures[0].matrices
    most = max(int(matrix.array("count").max()) for matrix in matrices)
    cells = [{"z": matrix.array("count")} for matrix in matrices]
    figure = _matrix_panels(matrices, cells, f"%{{z:,}} {times}", say, name=times, coloraxis="coloraxis")
    bar = {"title": {"text": times, "side": "right"}, "thickness": 12}
    return figure.update_layout(coloraxis={"colorscale": "Viridis", "cmin": 0, "cmax": most, "colorbar": bar})


def mask(pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the positions of the non-zero final weights, one panel per layer, in the method's colour."""
    matrices, kept = pictures[0].matrices, say("paper.figure.kept")
    words = np.array([say("paper.figure.zero"), kept])
    masks = [matrix.mask.astype(np.uint8) for matrix in matrices]
    scale = [[0, with_opacity("#808080", 0.14)], [1, colour(pictures[0].method)]]
    look = {"zmin": 0, "zmax": 1, "colorscale": scale, "showscale": False}
    cells = [{"z": mask, "text": words[mask]} for mask in masks]
    return _matrix_panels(matrices, cells, "%{text}", say, name=kept, **look)


def _matrix_panels(
    matrices: Sequence[Matrix], cells: Sequence[dict[str, Any]], hover: str, say: Say, **look: Any
) -> go.Figure:
    """Return one panel per layer, as wide as its columns, titled with its number of kept weights.

    cells: the arrays of each heatmap. hover: what it shows of a cell, after its place.
    """
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
    x = axis(say("paper.figure.from"), showgrid=False, dtick=5)
    y = {"showgrid": False, "dtick": 5, "autorange": "reversed"}
    apply_layout(figure, None, x, y, height=HEIGHT)
    figure.update_yaxes(axis(say("paper.figure.to")), col=1)
    where = f"{say('paper.figure.from')} %{{x}}, {say('paper.figure.to')} %{{y}}"
    look |= {"xgap": 1, "ygap": 1, "hovertemplate": f"{where}: {hover}<extra></extra>"}
    for place, (matrix, drawn) in enumerate(zip(matrices, cells, strict=True), start=1):
        rows, columns = matrix.shape
        places = {"x": np.arange(1, columns + 1), "y": np.arange(1, rows + 1)}  # neurons count from 1
        figure.add_trace(go.Heatmap(**drawn, **places, **look), row=1, col=place)
        if columns == 1:
            figure.update_xaxes(tickvals=[1], col=place)
        if rows == 1:
            figure.update_yaxes(tickvals=[1], col=place)
    return figure


def fits(pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the fitted curve of each run over the training points, side by side on equal axes."""
    figure = _side_by_side(pictures, say)
    for place, picture in enumerate(pictures, start=1):
        scene, shown = picture.scene, {"showlegend": place == 1}
        (train_x, train_y), (grid_x, grid_y) = scene.curve("train"), scene.curve("grid")
        dots = {"color": POINT_COLOUR, "size": 4, "opacity": 0.5}
        dash = {"color": "#d55e00", "width": 2, "dash": "dash"}
        line = {"color": colour(picture.method), "width": 3}
        drawn = {"x": train_x, "y": train_y, "mode": "markers", "marker": dots, "legendgroup": "points"}
        truth = {"x": grid_x, "y": grid_y, "mode": "lines", "line": dash, "legendgroup": "true"}
        fit = {"x": grid_x, "y": picture.frame.picture("curve"), "mode": "lines", "line": line}
        traces = (
            go.Scatter(**drawn, name=say("paper.figure.points"), **shown),
            go.Scatter(**truth, name=say("paper.figure.true"), **shown),
            go.Scatter(**fit, name=run_name(picture, say)),
        )
        for trace in traces:
            figure.add_trace(trace, row=1, col=place)
    return apply_layout(figure, None, axis("x"), axis("y", matches="y"), height=HEIGHT_WITH_LEGEND)


def points(pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the two spirals: training points filled, test points open."""
    return _on_equal_axes(go.Figure(_classes(pictures[0], say, size=5)))


def boundaries(pictures: Sequence[Picture], say: Say) -> go.Figure:
    """Draw the probability of class 1 over the plane with the points, one panel per run."""
    title = say("paper.figure.chance")
    figure = _side_by_side(pictures, say)
    for place, picture in enumerate(pictures, start=1):
        edge, cells = picture.meta["edge"], picture.meta["grid"]
        centres = (np.arange(cells) + 0.5) / cells * 2 * edge - edge
        chance = picture.frame.picture("boundary").reshape(cells, cells) / FULL
        look = {"coloraxis": "coloraxis", "hovertemplate": "x %{x:.2f}, y %{y:.2f}: %{z:.0%}<extra></extra>"}
        plane = {"x": centres, "y": centres, "z": chance.astype(np.float32), "name": title}
        figure.add_trace(go.Heatmap(**plane, **look), row=1, col=place)
        for trace in _classes(picture, say, size=3, legend=place == 1):
            figure.add_trace(trace, row=1, col=place)
    bar = {"title": {"text": title, "side": "right"}, "thickness": 12, "tickformat": ".0%"}
    figure.update_layout(coloraxis={"colorscale": CHANCE_SCALE, "cmin": 0, "cmax": 1, "colorbar": bar})
    return _on_equal_axes(figure)


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
        about = {"name": say("paper.figure.class", number=number), "legendgroup": str(number)}
        look = {"mode": "markers", "marker": marker, "showlegend": legend, "hoverinfo": "skip"}
        traces.append(go.Scatter(x=xy[selected, 0], y=xy[selected, 1], **about, **look))
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
    x = axis(say("paper.figure.epoch" if counted else "paper.figure.step"))
    look = {"height": HEIGHT_WITH_LEGEND, "showlegend": True}
    return apply_layout(figure, None, x, axis(say("paper.figure.accuracy")), **look)


def _side_by_side(pictures: Sequence[Picture], say: Say) -> go.Figure:
    names = [run_name(picture, say) for picture in pictures]
    return make_subplots(rows=1, cols=len(pictures), subplot_titles=names, horizontal_spacing=0.08)


def _on_equal_axes(figure: go.Figure) -> go.Figure:
    """Lay a figure out with equal units on both axes."""
    x, y = (axis(name, constrain="domain") for name in "xy")
    apply_layout(figure, None, x, y, height=HEIGHT_WITH_LEGEND)
    for each in list(figure.select_yaxes()):
        each.scaleanchor = (each.plotly_name or "yaxis").replace("yaxis", "x")
    return figure


BUILDERS: dict[Kind, Callable[[Sequence[Picture], Say], go.Figure]] = {
    "counts": counts,
    "mask": mask,
    "fit": fits,
    "points": points,
    "boundary": boundaries,
    "epochs": epochs,
}
