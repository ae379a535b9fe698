"""The results of a sweep: curves, layers, time, non-zeros, and a table of all runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from sparsecore.dashboard import saved_figures
from sparsecore.dashboard.controls import OTHER_SETTINGS, say
from sparsecore.dashboard.pages import page_file
from sparsecore.dashboard.session import LOOKED_AT, the_store
from sparsecore.engine.cards import methods, tasks
from sparsecore.figures.cost import run_seconds, weights_left
from sparsecore.figures.csv import EXCEL_ENCODING, as_csv
from sparsecore.figures.layers import layer_densities
from sparsecore.figures.metric import metric_curve
from sparsecore.figures.reports.sweep import sweep_report
from sparsecore.figures.style import point_stride
from sparsecore.paper.thesis import printed
from sparsecore.runs.sweeps.curves import Part, Point, by_method
from sparsecore.runs.sweeps.spec import Cell, SweepSpec
from sparsecore.runs.sweeps.stored import Sweep
from sparsecore.runs.sweeps.summary import cell_row, count_nonzeros
from sparsecore.words import speaker

PARTS: dict[str, tuple[Part, ...]] = {"test": ("test",), "train": ("train",), "both": ("test", "train")}
COLUMNS = ("train", "test", "nonzeros", "nonzeros_all", "steps", "seconds", "ending")


def view_choices() -> dict[str, Any]:
    """Choose the data split and the axis."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="sweep_view"):
        return {
            "part": _choice(
                "sweep.part", {**{p: f"figure.{p}" for p in ("test", "train")}, "both": "sweep.part.both"}
            ),
            "axis": _choice("sweep.axis", {name: f"sweep.axis.{name}" for name in ("log", "linear")}),
        }


def _choice(word: str, options: dict[str, str]) -> str:
    return st.segmented_control(
        say(word),
        list(options),
        default=next(iter(options)),
        required=True,
        key=word.replace(".", "_"),
        format_func=lambda name: say(options[name]),
    )


def curves(found: Sequence[Point], task: str, view: dict[str, Any], of: str) -> None:
    """Draw the metric and, once there is a run, layer densities and cost; of: the sweep."""
    language = st.session_state["lang"]
    metric, *below = _figures(tuple(found), task, PARTS[view["part"]], view["axis"] == "log", language)
    for name, figure in metric:
        draw(figure, name, of)
    for figures in below:
        _beside(figures, of)


@lru_cache(maxsize=8)  # for thousands of runs they take a second, and every page run needs them
def _figures(
    found: tuple[Point, ...], task: str, parts: tuple[Part, ...], logarithmic: bool, language: str
) -> list[list[tuple[str, go.Figure]]]:
    """Return the figures by name: metric, layers of each method, the two of cost."""
    look = {"say": speaker(language), "logarithmic": logarithmic}
    metric = found[0].metric if found else tasks()[task].metric.name
    drawn = [("metric", metric_curve(found, printed(task), metric=metric, parts=parts, **look))]
    if not found:
        return [drawn]
    cut = [method for method in by_method(found) if methods()[method].constrained]
    layers = [(f"layers_{name}", layer_densities(found, name, **look)) for name in cut]
    return [
        drawn,
        layers,
        [("seconds", run_seconds(found, **look)), ("weights", weights_left(found, **look))],
    ]


def hints(found: Sequence[Point], spec: SweepSpec) -> str:
    """Return the hints: points open runs, which points are drawn, the size of the thesis's."""
    texts = [say("sweep.click")]
    every = max(point_stride(own) for own in by_method(found).values())
    if every > 1:
        texts.append(say("sweep.thinned", n=every))
    if spec.parameters.get("size") != "paper":
        texts.append(say("sweep.thesis.size"))
    return " ".join(texts)


def _beside(figures: Sequence[tuple[str, go.Figure]], of: str) -> None:
    for row in range(0, len(figures), 2):
        for column, (name, figure) in zip(st.columns(2, gap="medium"), figures[row : row + 2], strict=False):
            with column:
                draw(figure, name, of)


def draw(figure: go.Figure, name: str, of: str) -> None:
    """Draw a figure of a sweep that can be saved; a click on a point opens its run in the Lab."""
    chosen = saved_figures.draw(
        figure, f"sweep_{name}", f"{of}-{name}", on_select="rerun", selection_mode="points"
    )
    run_id = next((run for run in map(_run_of, chosen.selection.points) if run), None)
    if run_id:
        open_in_lab(run_id)


def _run_of(point: dict[str, Any]) -> str | None:
    texts = point.get("customdata") or [None]
    return texts[0] if isinstance(texts, (list, tuple)) else texts.get("0")


def open_in_lab(run_id: str) -> None:
    """Show a run in the Lab, with its settings."""
    st.session_state[OTHER_SETTINGS] = None
    st.session_state[LOOKED_AT] = run_id
    st.switch_page(page_file("lab"), query_params={"run": run_id, "lang": st.session_state["lang"]})


def table(cells: Sequence[Cell], sweep: Sweep) -> None:
    """Show every finished run in a sortable table, with the sweep as CSV and as a report."""
    with st.container(horizontal=True, vertical_alignment="center"):  # left: the table's own bar is right
        st.markdown(f"**{say('sweep.table')}**", width="content")
        _files(cells, sweep)
    done = [cell for cell in cells if cell.metric is not None]
    rows = [cell_row(cell) | {"nonzeros_all": count_nonzeros(cell)} for cell in done]
    texts = {name: say(f"method.{name}") for name in {row["method"] for row in rows}}
    texts |= {name: say(f"state.{name}") for name in {row["reason"] for row in rows}}
    language = st.session_state["lang"]
    shown = [_shown(row, texts, language) for row in rows]
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


def _files(cells: Sequence[Cell], sweep: Sweep) -> None:
    """Offer the files of a sweep, each made on request."""
    name, options = f"sparsecore-sweep-{sweep.id}", {"icon": ":material/download:", "on_click": "ignore"}
    st.download_button(
        say("sweep.csv"),
        lambda: cells_csv(cells).encode(EXCEL_ENCODING),
        f"{name}.csv",
        "text/csv",
        key="sweep_csv",
        **options,
    )
    st.download_button(
        say("take.report"),
        lambda: sweep_report(the_store(), sweep).encode(),
        f"{name}.html",
        "text/html",
        key="sweep_report",
        help=say("report.sweep.help"),
        **options,
    )


def _shown(row: dict[str, Any], texts: dict[str, str], language: str) -> dict[str, Any]:
    return {
        "open": f"/?run={row['run']}&lang={language}",
        "method": texts[row["method"]],
        "density": row["density"],
        "seed": row["seed"],
        "train": round(row["train"], 4),
        "test": round(row["test"], 4),
        "nonzeros": row["nonzeros"],
        "nonzeros_all": row["nonzeros_all"],
        "steps": row["steps"],
        "seconds": round(row["seconds"], 1),
        "ending": texts[row["reason"]],
    }


def cells_csv(cells: Sequence[Cell]) -> str:
    """Return every cell with all digits, as `--csv` writes it."""
    rows = [cell_row(cell) for cell in cells]
    return as_csv(list(rows[0]), [list(row.values()) for row in rows])
