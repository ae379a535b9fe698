"""What a sweep found: its curves, layers, time and non-zeros, and every run in a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from sparsecore.dashboard.controls import OTHER_SETTINGS, say
from sparsecore.dashboard.session import LOOKED_AT
from sparsecore.dashboard.words import speaker
from sparsecore.figures import layer_densities, metric_curve, run_seconds, weights_left
from sparsecore.figures.drawing import stride
from sparsecore.runs.curves import METRICS, Part, Point, by_method
from sparsecore.runs.sweep import Cell, SweepSpec
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
    language = st.session_state["lang"]
    metric, *below = _figures(tuple(found), task, PARTS[view["part"]], view["axis"] == "log", language)
    for name, figure in metric:
        draw(figure, name, view["format"])
    for figures in below:
        _beside(figures, view["format"])


@lru_cache(maxsize=8)  # of thousands of runs they take a second to make, and every press on the page asks
def _figures(
    found: tuple[Point, ...], task: str, parts: tuple[Part, ...], logarithmic: bool, language: str
) -> list[list[tuple[str, go.Figure]]]:
    """By name the figure of the metric; the layers of each method; the two of the cost."""
    look = {"say": speaker(language), "logarithmic": logarithmic}
    metric = found[0].metric if found else METRICS[task]
    drawn = [("metric", metric_curve(found, printed(task), metric=metric, parts=parts, **look))]
    if not found:
        return [drawn]
    methods = [method for method in by_method(found) if method != "dense"]
    layers = [(f"layers_{name}", layer_densities(found, name, **look)) for name in methods]
    return [
        drawn,
        layers,
        [("seconds", run_seconds(found, **look)), ("weights", weights_left(found, **look))],
    ]


def hints(found: Sequence[Point], spec: SweepSpec) -> str:
    """That points open runs, how many are drawn, and of which size the thesis's are."""
    told = [say("sweep.click")]
    every = max(stride(own) for own in by_method(found).values())
    if every > 1:
        told.append(say("sweep.thinned", n=every))
    if spec.parameters.get("size") != "paper":
        told.append(say("sweep.thesis.size"))
    return " ".join(told)


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
        made = partial(as_csv, cells)  # when it is asked for
        st.download_button(say("sweep.csv"), made, f"{name}.csv", "text/csv", **options)
    rows = [described(cell) for cell in cells if cell.metric is not None]
    methods = {row["method"] for row in rows}
    endings = {row["reason"] for row in rows}
    told = {name: say(f"method.{name}") for name in methods} | {
        name: say(f"state.{name}") for name in endings
    }
    language = st.session_state["lang"]
    shown = [_shown(row, told, language) for row in rows]
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


def _shown(row: dict[str, Any], told: dict[str, str], language: str) -> dict[str, Any]:
    return {
        "open": f"/?run={row['run']}&lang={language}",
        "method": told[row["method"]],
        "density": row["density"],
        "seed": row["seed"],
        "train": round(row["train"], 4),
        "test": round(row["test"], 4),
        "nonzeros": row["nonzeros"],
        "steps": row["steps"],
        "seconds": round(row["seconds"], 1),
        "ending": told[row["reason"]],
    }


def as_csv(cells: Sequence[Cell]) -> str:
    """Every cell with every digit, as the command line writes it with `--csv`."""
    rows = [described(cell) for cell in cells]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
