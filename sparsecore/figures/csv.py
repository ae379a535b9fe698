"""Tables as CSV, and the data of a figure as such a table.

`figure_csv` reads any figure of this package by these conventions, so a new figure needs no code of its own:

- a trace's `name` is the series; its `meta` ("mean…", "runs" or "thesis…") is the kind of point;
- `customdata` of a scatter or bar has one row per point: the run's id, the hover text, then the values of the
  columns named in `layout.meta["columns"]` (set by `style.finished`);
- axis titles with their units are the headers; a subplot's title is the panel;
- `z` of a heatmap or contour is the value, or `customdata` if `z` is rescaled for display; its `name` is the
  header;
- a named line across the whole figure is a row;
- legend entries ("key"), bands (their bounds are in the rows of the means) and decoration are omitted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsecore.words import Say

if TYPE_CHECKING:  # the command line writes tables without loading plotly
    import plotly.graph_objects as go

# For files opened by a double click: without this mark Excel reads UTF-8 as the system's legacy code page and
# garbles Chinese; pandas, R's readr, LibreOffice and Numbers skip it. The command line writes plain UTF-8 for
# programs.
EXCEL_ENCODING = "utf-8-sig"
# First characters of a formula according to OWASP ("CSV Injection"), including full-width signs.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

OMITTED = ("key", "band", "axis", "alike", "front")  # the points of the front are already listed as runs
KIND_WORDS = {
    "mean": "save.kind.mean",
    "layer": "save.kind.mean",
    "uniform": "save.kind.mean",
    "runs": "save.kind.run",
    "thesis": "figure.thesis",
}
WHOLE = "1 = 100 %"  # for an axis with percent ticks and values in 0…1
_Row = dict[str | int, Any]  # one point of a figure by column; further columns by number


def figure_csv(figure: go.Figure, say: Say) -> str:
    """Return one row per drawn point, with full precision; raise `TypeError` for other kinds of traces."""
    rows = [row for trace in figure.data for row in _rows(figure, trace, say)]
    rows += list(_lines(figure))
    headers = {
        "panel": say("save.panel"),
        "series": say("save.series"),
        "kind": say("save.kind"),
        "x": _axis(figure, "x"),
        "y": _axis(figure, "y"),
        "value": _value_name(figure, say),
        "run": say("runs.run"),
        **dict(enumerate((figure.layout.meta or {}).get("columns", ()))),
    }
    used = [name for name in headers if any(row.get(name) is not None for row in rows)]
    return as_csv([headers[name] for name in used], ([row.get(name) for name in used] for row in rows))


def _rows(figure: go.Figure, trace: Any, say: Say) -> Iterator[_Row]:
    kind = str(trace.meta or "").partition(" ")[0]
    if kind in OMITTED:
        return
    build = {"scatter": _points, "bar": _points, "heatmap": _cells, "contour": _cells}.get(trace.type)
    if build is None:
        raise TypeError(
            f"a trace of type {trace.type!r} has no rows; there are scatter, bar, heatmap, contour."
        )
    yield from build(trace, _panel(figure, trace), say(KIND_WORDS[kind]) if kind in KIND_WORDS else None)


def _points(trace: Any, panel: str | None, kind: str | None) -> Iterator[_Row]:
    customdata = _list(trace.customdata)
    is_mean = str(trace.meta or "").startswith("mean")
    for index, (x, y) in enumerate(zip(_list(trace.x), _list(trace.y), strict=True)):
        fields = customdata[index] if customdata and isinstance(customdata[index], list) else [None]
        if x is None or (is_mean and customdata[index + 1 : index + 2] == [fields]):
            # a gap, or a repeated point of the dense mean, which spans the axis; its own ρ comes last
            continue
        row = {"panel": panel, "series": trace.name, "kind": kind, "x": x, "y": y, "run": fields[0]}
        yield row | dict(enumerate(fields[2:]))


def _cells(trace: Any, panel: str | None, kind: str | None) -> Iterator[_Row]:
    values = _list(trace.z if trace.customdata is None else trace.customdata)
    xs = _list(trace.x) or list(range(len(values[0])))
    ys = _list(trace.y) or list(range(len(values)))
    for y, row in zip(ys, values, strict=True):
        for x, value in zip(xs, row, strict=True):
            yield {"panel": panel, "series": trace.name, "kind": kind, "x": x, "y": y, "value": value}


def _lines(figure: go.Figure) -> Iterator[_Row]:
    for shape in figure.layout.shapes:
        if shape.name:
            upright = shape.x0 == shape.x1
            yield {"series": shape.name, **({"x": shape.x0} if upright else {"y": shape.y0})}


def _panel(figure: go.Figure, trace: Any) -> str | None:
    """Return the subplot's title, centred above its axis."""
    axis = figure.layout[(trace.xaxis or "x").replace("x", "xaxis")]
    if axis.domain is None:
        return None
    middle = sum(axis.domain) / 2
    titles = [note for note in figure.layout.annotations if note.xref == "paper" and note.yanchor == "bottom"]
    return next((note.text for note in titles if abs(note.x - middle) < 1e-6), None)


def _axis(figure: go.Figure, letter: str) -> str:
    """Return the header of an axis: the first title among axes of its kind."""
    axes = list(figure.select_xaxes() if letter == "x" else figure.select_yaxes())
    title = next((axis.title.text for axis in axes if axis.title.text), letter)
    shares = any((axis.tickformat or "").endswith("%") for axis in axes)
    return f"{title} ({WHOLE})" if shares else title


def _value_name(figure: go.Figure, say: Say) -> str:
    names = {trace.name for trace in figure.data if trace.type in ("heatmap", "contour") and trace.name}
    return names.pop() if len(names) == 1 else say("save.value")


def _list(values: Any) -> list[Any]:
    """Return nested plain Python values."""
    if values is None:
        return []
    if isinstance(values, np.ndarray):
        return values.tolist()
    return [
        _list(value) if isinstance(value, (list, tuple, np.ndarray)) else _plain(value) for value in values
    ]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


# -- Any table as CSV


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return one table with its header as CSV text; None and NaN become empty cells.

    >>> as_csv(("name", "ρ"), [("=1+1", 0.1), ("global", None)])
    "name,ρ\\n'=1+1,0.1\\nglobal,\\n"
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([escape_formula(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def escape_formula(text: str) -> str:
    """Prefix a text with an apostrophe if a spreadsheet would run it as a formula, as OWASP advises.

    >>> escape_formula("-2+cmd|' /C calc'!A0"), escape_formula("ρ = 0.4")
    ("'-2+cmd|' /C calc'!A0", 'ρ = 0.4')
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return escape_formula(value)
    return None if isinstance(value, float) and isnan(value) else value
