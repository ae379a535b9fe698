"""The data of a figure as a table: a pure function from any of our figures to CSV.

What it reads, so that a new figure needs nothing of its own:

- a trace's `name` is the series; `meta` "mean…", "runs" or "thesis…" says what kind of point it is;
- `customdata` of a scatter or bar is a row a point: the run's id, what the hover says, then the values of the
  columns that `layout.meta["columns"]` names (`drawing.finished` takes them);
- the titles of the axes, with their units, are the headers; of subplots the title is the panel;
- the `z` of a heatmap or of contours is the value, or `customdata` where `z` is on another scale for the eye;
  its `name` is the header;
- a line across the whole figure that has a `name` is a row;
- left out are entries of the legend ("key"), bands, whose bounds stand beside their means, and decoration.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go

from sparsecore.figures.csv_files import as_csv
from sparsecore.figures.style import Say

LEFT_OUT = ("key", "band", "axis", "alike", "front")  # the front's points stand there as runs
KINDS = {
    "mean": "save.kind.mean",
    "layer": "save.kind.mean",
    "uniform": "save.kind.mean",
    "runs": "save.kind.run",
    "thesis": "figure.thesis",
}
WHOLE = "1 = 100 %"  # of an axis whose ticks are percent, while its numbers are shares


@dataclass
class _Row:
    """A point of a figure; what it lacks is None."""

    panel: str | None = None
    series: str | None = None
    kind: str | None = None
    x: Any = None
    y: Any = None
    value: Any = None
    run: str | None = None
    more: list[Any] = field(default_factory=list)


def figure_csv(figure: go.Figure, say: Say) -> str:
    """A row for every point that is drawn, with every digit. Raises `TypeError` for other kinds of traces."""
    rows = [row for trace in figure.data for row in _rows(figure, trace, say)]
    rows += list(_lines(figure))
    extra = list((figure.layout.meta or {}).get("columns", ()))
    heads = {
        "panel": say("save.panel"),
        "series": say("save.series"),
        "kind": say("save.kind"),
        "x": _axis(figure, "x"),
        "y": _axis(figure, "y"),
        "value": _value_name(figure, say),
        "run": say("runs.run"),
    }
    used = [name for name in heads if any(getattr(row, name) is not None for row in rows)]
    places = [place for place in range(len(extra)) if any(_at(row.more, place) is not None for row in rows)]
    header = [*(heads[name] for name in used), *(extra[place] for place in places)]
    cells = (
        [*(getattr(row, name) for name in used), *(_at(row.more, place) for place in places)] for row in rows
    )
    return as_csv(header, cells)


def _rows(figure: go.Figure, trace: Any, say: Say) -> Iterator[_Row]:
    kind = str(trace.meta or "").partition(" ")[0]
    if kind in LEFT_OUT:
        return
    made = {"scatter": _points, "bar": _points, "heatmap": _cells, "contour": _cells}.get(trace.type)
    if made is None:
        raise TypeError(
            f"a trace of type {trace.type!r} has no rows; there are scatter, bar, heatmap, contour."
        )
    yield from made(trace, _panel(figure, trace), say(KINDS[kind]) if kind in KINDS else None)


def _points(trace: Any, panel: str | None, kind: str | None) -> Iterator[_Row]:
    told = _list(trace.customdata)
    is_mean = str(trace.meta or "").startswith("mean")
    for place, (x, y) in enumerate(zip(_list(trace.x), _list(trace.y), strict=True)):
        own = told[place] if told and isinstance(told[place], list) else [None]
        if x is None or (is_mean and told[place + 1 : place + 2] == [own]):
            continue  # a gap, or the mean of dense, drawn from end to end: its own ρ comes last
        yield _Row(series=trace.name, x=x, y=y, run=own[0], more=own[2:], panel=panel, kind=kind)


def _cells(trace: Any, panel: str | None, kind: str | None) -> Iterator[_Row]:
    values = _list(trace.z if trace.customdata is None else trace.customdata)
    xs = _list(trace.x) or list(range(len(values[0])))
    ys = _list(trace.y) or list(range(len(values)))
    for y, row in zip(ys, values, strict=True):
        for x, value in zip(xs, row, strict=True):
            yield _Row(series=trace.name, x=x, y=y, value=value, panel=panel, kind=kind)


def _lines(figure: go.Figure) -> Iterator[_Row]:
    for shape in figure.layout.shapes:
        if shape.name:
            upright = shape.x0 == shape.x1
            yield _Row(series=shape.name, x=shape.x0 if upright else None, y=None if upright else shape.y0)


def _panel(figure: go.Figure, trace: Any) -> str | None:
    """The subplot's title, which stands above the middle of its axis."""
    axis = figure.layout[(trace.xaxis or "x").replace("x", "xaxis")]
    if axis.domain is None:
        return None
    middle = sum(axis.domain) / 2
    titles = [note for note in figure.layout.annotations if note.xref == "paper" and note.yanchor == "bottom"]
    return next((note.text for note in titles if abs(note.x - middle) < 1e-6), None)


def _axis(figure: go.Figure, letter: str) -> str:
    """The header of an axis: the title of the first of its kind that has one."""
    axes = list(figure.select_xaxes() if letter == "x" else figure.select_yaxes())
    title = next((axis.title.text for axis in axes if axis.title.text), letter)
    shares = any((axis.tickformat or "").endswith("%") for axis in axes)
    return f"{title} ({WHOLE})" if shares else title


def _value_name(figure: go.Figure, say: Say) -> str:
    names = {trace.name for trace in figure.data if trace.type in ("heatmap", "contour") and trace.name}
    return names.pop() if len(names) == 1 else say("save.value")


def _list(values: Any) -> list[Any]:
    """Plain Python values, nested as they are."""
    if values is None:
        return []
    if isinstance(values, np.ndarray):
        return values.tolist()
    return [
        _list(value) if isinstance(value, (list, tuple, np.ndarray)) else _plain(value) for value in values
    ]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _at(values: list[Any], place: int) -> Any:
    return values[place] if place < len(values) else None
