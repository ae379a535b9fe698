"""What a sweep found: its curves, layers, time and non-zeros, and every run in a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from sparsecore.dashboard.controls import OTHER_SETTINGS, say
from sparsecore.dashboard.session import LOOKED_AT
from sparsecore.figures import layer_densities, metric_curve, run_seconds, weights_left
from sparsecore.runs.curves import METRICS, Part, Point, by_method
from sparsecore.runs.sweep import Cell
from sparsecore.summary import described
from sparsecore.thesis import printed

LAB = Path(__file__).parents[2] / "pages" / "lab.py"
PARTS: dict[str, tuple[Part, ...]] = {"test": ("test",), "train": ("train",), "both": ("test", "train")}
SCALE = 3  # of a downloaded picture, so that it prints well
COLUMNS = ("train", "test", "nonzeros", "steps", "seconds", "ending")


def view_choices() -> dict[str, Any]:
    """Which part of the data, which axis, which kind of picture the mode bar downloads."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="sweep_view"):
        return {
            "part": _choice(
                "sweep.part", {**{p: f"figure.{p}" for p in ("test", "train")}, "both": "sweep.part.both"}
            ),
            "axis": _choice("sweep.axis", {name: f"sweep.axis.{name}" for name in ("log", "linear")}),
            "format": _choice("sweep.format", {"png": "PNG", "svg": "SVG"}),
        }


def _choice(word: str, options: dict[str, str]) -> str:
    return st.segmented_control(
        say(word),
        list(options),
        default=next(iter(options)),
        required=True,
        key=word.replace(".", "_"),
        format_func=lambda name: options[name] if options[name].isupper() else say(options[name]),
    )


def curves(found: Sequence[Point], task: str, view: dict[str, Any]) -> None:
    """The metric, and once there is a run which layer kept what, and what it cost."""
    look = {"say": say, "logarithmic": view["axis"] == "log"}
    metric = found[0].metric if found else METRICS[task]
    figure = metric_curve(found, printed(task), metric=metric, parts=PARTS[view["part"]], **look)
    draw(figure, "metric", view["format"])
    if not found:
        return
    methods = [method for method in by_method(found) if method != "dense"]
    _beside([(f"layers_{name}", layer_densities(found, name, **look)) for name in methods], view["format"])
    cost = [("seconds", run_seconds(found, **look)), ("weights", weights_left(found, **look))]
    _beside(cost, view["format"])


def _beside(figures: Sequence[tuple[str, go.Figure]], format_: str) -> None:
    for row in range(0, len(figures), 2):
        for column, (name, figure) in zip(st.columns(2, gap="medium"), figures[row : row + 2], strict=False):
            with column:
                draw(figure, name, format_)


def draw(figure: go.Figure, name: str, format_: str) -> None:
    """A figure whose picture can be downloaded; a click on a run's point opens it in the Lab."""
    picture = {"format": format_, "filename": f"sparsecore-{name}", "scale": SCALE}
    title = figure.layout.title.text
    chosen = st.plotly_chart(
        figure,
        key=f"sweep_{name}",
        on_select="rerun",
        selection_mode="points",
        alt=title,
        config={
            "displaylogo": False,
            "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
            "toImageButtonOptions": picture,
        },
    )
    run_id = next((run for run in map(_run_of, chosen.selection.points) if run), None)
    if run_id:
        open_in_lab(run_id)


def _run_of(point: dict[str, Any]) -> str | None:
    told = point.get("customdata") or [None]
    return told[0] if isinstance(told, (list, tuple)) else told.get("0")


def open_in_lab(run_id: str) -> None:
    """Show a run in the Lab, with its settings."""
    st.session_state[OTHER_SETTINGS] = None
    st.session_state[LOOKED_AT] = run_id
    st.switch_page(LAB, query_params={"run": run_id, "lang": st.session_state["lang"]})


def table(cells: Sequence[Cell], name: str) -> None:
    """Every finished run: sortable, and every cell as a file."""
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.markdown(f"**{say('sweep.table')}**")
        options = {"icon": ":material/download:", "on_click": "ignore"}
        st.download_button(say("sweep.csv"), as_csv(cells), f"{name}.csv", "text/csv", **options)
    shown = [_shown(described(cell)) for cell in cells if cell.metric is not None]
    st.dataframe(
        shown,
        hide_index=True,
        height="content" if len(shown) < 15 else 540,
        column_config={
            "open": st.column_config.LinkColumn(say("runs.open"), display_text=say("runs.open")),
            "method": say("runs.method"),
            "seed": say("runs.seed"),
            "density": st.column_config.NumberColumn("ρ", format="%g"),
            **{column: say(f"sweep.table.{column}") for column in COLUMNS},
        },
    )


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "open": f"/?run={row['run']}&lang={st.session_state['lang']}",
        "method": say(f"method.{row['method']}"),
        "density": row["density"],
        "seed": row["seed"],
        "train": round(row["train"], 4),
        "test": round(row["test"], 4),
        "nonzeros": row["nonzeros"],
        "steps": row["steps"],
        "seconds": round(row["seconds"], 1),
        "ending": say(f"state.{row['reason']}"),
    }


def as_csv(cells: Sequence[Cell]) -> str:
    """Every cell with every digit, as the command line writes it with `--csv`."""
    rows = [described(cell) for cell in cells]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
