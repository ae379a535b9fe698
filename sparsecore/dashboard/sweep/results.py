"""The results of a sweep: curves, layers, time, non-zeros, and a table of all runs."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from sparsecore.dashboard import saved_figures
from sparsecore.dashboard.controls import OTHER_SETTINGS, languages, say
from sparsecore.dashboard.pages import page_file
from sparsecore.dashboard.session import LOOKED_AT, the_store
from sparsecore.figures.csv import EXCEL_ENCODING, as_csv
from sparsecore.figures.reports.sweep import sweep_report
from sparsecore.figures.style import point_stride
from sparsecore.figures.sweep import sweep_figures
from sparsecore.runs.sweeps.results import Part, Point, by_method, cell_row
from sparsecore.runs.sweeps.spec import Cell, SweepSpec
from sparsecore.runs.sweeps.stored import Sweep
from sparsecore.words import Say, speaker

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
    figures = dict(_drawn(tuple(found), task, PARTS[view["part"]], view["axis"] == "log", language))
    draw(figures.pop("metric"), "metric", of)
    cost = {name: figures.pop(name) for name in ("seconds", "weights") if name in figures}
    for group in (figures, cost):
        _beside(list(group.items()), of)


@lru_cache(maxsize=8)  # for thousands of runs they take a second, and every page run needs them
def _drawn(
    found: tuple[Point, ...], task: str, parts: tuple[Part, ...], logarithmic: bool, language: str
) -> dict[str, go.Figure]:
    return sweep_figures(found, task, say=speaker(language), parts=parts, logarithmic=logarithmic)


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
    language = st.session_state["lang"]
    shown = [_shown(cell, language, speaker(language)) for cell in cells if cell.metric is not None]
    formats = {"train": "%.4f", "test": "%.4f", "seconds": "%.1f"}
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
            **{
                c: st.column_config.NumberColumn(say(f"sweep.table.{c}"), format=f)
                for c, f in formats.items()
            },
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
    shown = languages()
    st.download_button(
        say("take.report"),
        lambda: sweep_report(the_store(), sweep, shown).encode(),
        f"{name}.html",
        "text/html",
        key="sweep_report",
        help=say("report.sweep.help"),
        **options,
    )


def _shown(cell: Cell, language: str, say: Say) -> dict[str, Any]:
    row = cell_row(cell) | {"nonzeros_all": cell.run.nonzeros}
    return {
        "open": f"./?run={row['run']}&lang={language}",
        "method": say(f"method.{row['method']}"),
        **{name: row[name] for name in ("density", "seed", *COLUMNS[:-1])},
        "ending": say(f"state.{row['reason']}"),
    }


def cells_csv(cells: Sequence[Cell]) -> str:
    """Return every cell with all digits, as `--csv` writes it."""
    rows = [cell_row(cell) for cell in cells]
    return as_csv(list(rows[0]), [list(row.values()) for row in rows])
