"""The report of a sweep: one HTML file with curves, layers, cost, means and every run.

It opens offline and prints well.
"""

import time
from collections.abc import Sequence
from html import escape

from sparsecore.figures.reports.paper import (
    document,
    fact_list,
    figure_html,
    parameter_text,
    sections_html,
    table_html,
)
from sparsecore.figures.style import format_number
from sparsecore.figures.sweep import sweep_figures
from sparsecore.paper.thesis import printed
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.results import Point, cell_row, method_rows, points
from sparsecore.runs.sweeps.spec import FINISHED, Cell
from sparsecore.runs.sweeps.stored import Sweep
from sparsecore.words import LANGUAGES, Say


def sweep_report(store: Store, sweep: Sweep, languages: Sequence[str] = tuple(LANGUAGES)) -> str:
    """Return the report, one section per language; an unfinished sweep is reported in its current state."""
    cells = stored.cells_of(store, sweep.spec)

    def content(say: Say, language: str) -> str:
        sections = [
            ("report.sweep.asked", _configuration(sweep, cells, say)),
            ("report.run.figures", _figures(sweep, points(cells), say, language)),
            ("report.sweep.cells", _means(cells, say)),
            ("report.sweep.runs", _runs(cells, say)),
        ]
        title = say("report.sweep.title", task=say(f"task.{sweep.spec.task}"))
        return f"<h1>{escape(title)}</h1>{sections_html(sections, say)}"

    return document(sweep.id, content, languages)


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
    spec, drawn = sweep.spec, ""
    for name, figure in sweep_figures(results, spec.task, say=say).items():
        title = figure.layout.title.text
        drawn += figure_html(figure.update_layout(title=None, margin_t=8), title, f"{language}-{name}")
    like_thesis = spec.parameters.get("size") == "paper" or not printed(spec.task)
    note = "" if like_thesis else say("sweep.thesis.size")
    return f'{drawn}<p class="sp-note">{escape(note)}</p>'


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
    return table_html([*heads, *ends], rows, say) + note


def _runs(cells: Sequence[Cell], say: Say) -> str:
    """Return a table of all cells with the names of their runs."""
    columns = ("train", "test", "nonzeros", "nonzeros_all", "steps", "seconds", "ending")
    heads = ["runs.method", "ρ", "runs.seed", "runs.run", "runs.name"]
    heads += [f"sweep.table.{column}" for column in columns]
    return table_html(heads, [_run(cell, say) for cell in cells], say)


def _run(cell: Cell, say: Say) -> tuple[str, ...]:
    run = cell.run
    row = cell_row(cell) | {"nonzeros_all": run and run.nonzeros}
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
