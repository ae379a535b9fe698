"""Draw a figure with one control that saves it as PNG and SVG, and its data as CSV.

A new figure needs no more than `draw(figure, key="sweep_metric", name="sweep-ab12-metric")` in place of
`st.plotly_chart`: its table comes from the figure itself (`figures/table.py` says what it reads). The
pictures are made in the browser, of the figure as it is seen, by Plotly's script, which is loaded on the
first press. A picture of HTML, such as bars with their words, has the same from `draw_html`: what stands on
the page becomes boxes and letters of an SVG. A figure of the live view: `assets/views/shared/save_menu.js`.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import plotly
import plotly.graph_objects as go
import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.server.components import place
from sparsecore.dashboard.server.live_route import PLOTLY_PATH
from sparsecore.figures.csv import EXCEL_ENCODING, as_csv, figure_csv
from sparsecore.words import speaker

# The camera of Plotly's own bar would save under another name and only as one kind.
REMOVED = ["toImage", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"]
Table = tuple[Sequence[str], Iterable[Sequence[Any]]]  # header and rows
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": REMOVED}


def draw(figure: go.Figure, key: str, name: str, *, title: str | None = None, **options: Any) -> Any:
    """Draw a figure and its control; returns the result of `st.plotly_chart`.

    name: of its files, such as "sweep-ab12-metric".
    title: for screen readers, and for the picture if the figure has none.
    """
    title = title or figure.layout.title.text
    shown = st.plotly_chart(figure, key=key, alt=title, **{"config": CONFIG} | options)
    control(key, name, title, partial(_csv, figure, st.session_state["lang"]))
    return shown


def draw_html(markup: str, key: str, name: str, title: str, table: Table) -> None:
    """Draw a picture of HTML, in which every text is escaped, and its control."""
    with st.container(key=key):
        st.html(markup)
    control(key, name, title, lambda: as_csv(*table).encode(EXCEL_ENCODING))


def control(key: str, name: str, title: str | None, csv: Callable[[], bytes]) -> None:
    """Draw the control of the figure in this container; `csv` is called on request."""
    name = f"sparsecore-{name}"
    # Not full width: presses next to the button must reach the elements there.
    with (
        st.container(horizontal=True, horizontal_alignment="right", key=f"save_{key}"),
        st.popover(say("save.figure"), icon=":material/download:", type="tertiary", key=f"save_{key}_menu"),
    ):
        words = {word: say(f"save.{word}") for word in ("png", "svg", "gone")}
        source = f"{PLOTLY_PATH}?v={plotly.__version__}"
        about = {"figure": key, "name": name, "title": title, "plotly": source, "words": words}
        place("saving/save_buttons.js", f"save_{key}_pictures", about, isolated=True)
        options = {"key": f"save_{key}_csv", "width": "stretch", "on_click": "ignore"}
        st.download_button(say("save.csv"), csv, f"{name}.csv", "text/csv", **options)


def _csv(figure: go.Figure, language: str) -> bytes:
    """Made on request."""
    return figure_csv(figure, speaker(language)).encode(EXCEL_ENCODING)
