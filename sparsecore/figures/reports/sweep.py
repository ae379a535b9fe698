"""The report of a sweep: one HTML file with curves, layers, cost, means and every run.

It opens offline and prints well.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from html import escape

import plotly.graph_objects as go

from sparsecore.engine.cards import methods, tasks
from sparsecore.figures.cost import run_seconds, weights_left
from sparsecore.figures.layers import layer_densities
from sparsecore.figures.metric import metric_curve
from sparsecore.figures.reports.paper import document, fact_list, figure_html, parameter_text, sections_html
from sparsecore.figures.style import format_number
from sparsecore.paper.thesis import printed
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.curves import Point, by_method, points
from sparsecore.runs.sweeps.spec import FINISHED, Cell
from sparsecore.runs.sweeps.stored import Sweep
from sparsecore.runs.sweeps.summary import cell_row, count_nonzeros, method_rows
from sparsecore.words import LANGUAGES, Say, speaker


def sweep_report(store: Store, sweep: Sweep, languages: Sequence[str] = tuple(LANGUAGES)) -> str:
    """Return the report, one section per language; an unfinished sweep is reported in its current state."""
    cells = stored.cells_of(store, sweep.spec)
    parts = "".join(_language_section(sweep, cells, language) for language in languages)
    return document(sweep.id, parts, languages)


def _language_section(sweep: Sweep, cells: Sequence[Cell], language: str) -> str:
    say = speaker(language)
    sections = [
        ("report.sweep.asked", _configuration(sweep, cells, say)),
        ("report.run.figures", _figures(sweep, points(cells), say, language)),
        ("report.sweep.cells", _means(cells, say)),
        ("report.sweep.runs", _runs(cells, say)),
    ]
    title = escape(say("report.sweep.title", task=say(f"task.{sweep.spec.task}")))
    return f'<main lang="{language}" id="{language}"><h1>{title}</h1>{sections_html(sections, say)}</main>'


def _configuration(sweep: Sweep, cells: Sequence[Cell], say: Say) -> str:
    """Return the grid, the non-default parameters, and the number of finished runs."""
    spec, statuses = sweep.spec, [cell.status for cell in cells]
    counted = {
        "done": sum(status in FINISHED for status in statuses),
        "collapsed": statuses.count("collapsed"),
        "failed": statuses.count("failed"),
    }
    counted["open"] = len(cells) - counted["done"] - counted["failed"]
    begun = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(sweep.created))
    rows = [
        (say("report.sweep.sweep"), sweep.id),
        (say("report.sweep.begun"), begun),
        (say("parameter.task"), say(f"task.{spec.task}")),
        (say("sweep.methods"), ", ".join(say(f"method.{name}") for name in spec.methods)),
        (say("sweep.densities"), ", ".join(f"{density:g}" for density in spec.densities)),
        (say("sweep.seeds"), ", ".join(str(seed) for seed in spec.seeds)),
        *(
            (say(f"parameter.{name}"), parameter_text(name, value, say))
            for name, value in spec.parameters.items()
        ),
        (say("report.sweep.seeds"), say("report.sweep.counted", **counted)),
    ]
    return fact_list(rows)


def _figures(sweep: Sweep, results: Sequence[Point], say: Say, language: str) -> str:
    """Return the figures of the Sweep page over a logarithmic ρ; without runs, the printed results."""
    spec, look = sweep.spec, {"say": say, "logarithmic": True}
    metric = results[0].metric if results else tasks()[spec.task].metric.name
    shown: dict[str, go.Figure] = {"metric": metric_curve(results, printed(spec.task), metric=metric, **look)}
    if results:
        cut = [method for method in by_method(results) if methods()[method].constrained]
        shown |= {f"layers-{method}": layer_densities(results, method, **look) for method in cut}
        shown |= {"seconds": run_seconds(results, **look), "weights": weights_left(results, **look)}
    note = (
        "" if spec.parameters.get("size") == "paper" or not printed(spec.task) else say("sweep.thesis.size")
    )
    drawn = "".join(_titled(figure, f"{language}-{name}") for name, figure in shown.items())
    return f'{drawn}<p class="sp-note">{escape(note)}</p>'


def _titled(figure: go.Figure, name: str) -> str:
    title = figure.layout.title.text
    return figure_html(figure.update_layout(title=None, margin={"t": 8}), title, name)


def _means(cells: Sequence[Cell], say: Say) -> str:
    heads = ("runs.method", "ρ", "report.sweep.seeds", "report.sweep.mean", "report.sweep.interval")
    rows = []
    for row in method_rows(cells):
        interval = "" if row["low"] is None else f"{format_number(row['low'])} – {format_number(row['high'])}"
        mean = "" if row["test"] is None else format_number(row["test"])
        figures = (say(f"method.{row['method']}"), f"{row['density']:g}", str(row["n"]), mean, interval)
        rows.append((*figures, str(row["collapsed"] or ""), str(row["failed"] or "")))
    ends = ("sweep.status.collapsed", "sweep.status.failed")
    note = f'<p class="sp-note">{escape(say("report.sweep.means"))}</p>'
    return _table([*heads, *ends], rows, say) + note


def _runs(cells: Sequence[Cell], say: Say) -> str:
    """Return a table of all cells with the names of their runs."""
    columns = ("train", "test", "nonzeros", "nonzeros_all", "steps", "seconds", "ending")
    heads = ["runs.method", "ρ", "runs.seed", "runs.run", "runs.name"]
    heads += [f"sweep.table.{column}" for column in columns]
    return _table(heads, [_run(cell, say) for cell in cells], say)


def _run(cell: Cell, say: Say) -> tuple[str, ...]:
    row, run = cell_row(cell) | {"nonzeros_all": count_nonzeros(cell)}, cell.run
    values = ["" if row[part] is None else format_number(row[part]) for part in ("train", "test")]
    kept, left, steps = (
        "" if row[part] is None else f"{row[part]:,}" for part in ("nonzeros", "nonzeros_all", "steps")
    )
    seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
    if run is None:
        ending = say("sweep.status.missing")
    else:
        ending = run.error or say(f"state.{run.reason or run.state}")
    about = (say(f"method.{row['method']}"), f"{row['density']:g}", str(row["seed"]), row["run"] or "")
    return (*about, (run and run.name) or "", *values, kept, left, steps, seconds, ending)


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]], say: Say) -> str:
    """Return a table; the first cell of a row names it.

    A head that contains a dot is a word key, any other is literal.
    """
    head = "".join(f'<th scope="col">{escape(say(key) if "." in key else key)}</th>' for key in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td><bdi>{escape(text)}</bdi></td>" for text in rest)
        + "</tr>"
        for first, *rest in rows
    )
    whole = f'<table class="sp-layers"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="sp-wide">{whole}</div>'
