"""The report of a run: one HTML file with results, figures and settings.

It opens offline and prints well.
"""

import json
import time
from collections.abc import Sequence
from html import escape
from typing import Any

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import every_parameter
from sparsecore.figures import paper, training
from sparsecore.figures.reports.paper import (
    document,
    fact_list,
    figure_html,
    parameter_text,
    sections_html,
    table_html,
)
from sparsecore.figures.style import format_number, layer_name
from sparsecore.paper.pictures import Picture, picture_of
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store
from sparsecore.words import LANGUAGES, Say, speaker

WEIGHTS = {"counts": paper.counts, "mask": paper.mask}  # figures of a small network's weights
# figures by kind of scene
PICTURED = {"fit": ("curve", paper.fits), "boundary": ("boundary", paper.boundaries)}


def run_report(store: Store, run: Run, languages: Sequence[str] = tuple(LANGUAGES)) -> str:
    """Return the report, one section per language; an unfinished run is reported in its current state."""
    records = [(row.step, json.loads(row.payload)) for row in store.entries(run.id, ["record"])]
    picture = picture_of(store, run)
    changes = [(row.step, json.loads(row.payload)) for row in store.entries(run.id, ["change"])]
    note = f'<p style="white-space: pre-wrap">{escape(run.note)}</p>' if run.note else ""

    def content(say: Say, language: str) -> str:
        sections = [
            ("report.run.reached", _results(run, say)),
            ("report.run.layers", _layers(run, say)),
            ("report.run.figures", _figures(run, records, picture, say, language)),
            ("report.run.settings", _settings(run, changes, say)),
        ]
        return f"<h1>{escape(run.name or _title(run, say))}</h1>{note}{sections_html(sections, say)}"

    return document(run.name or _title(run, speaker(languages[0])), content, languages)


def _title(run: Run, say: Say) -> str:
    config = run.config
    density = f", ρ {config.density:g}" if "density" in config.used() else ""
    return f"{say(f'task.{config.task}')}, {say(f'method.{config.method}')}{density} · {run.id}"


def _label(name: str, say: Say) -> str:
    return say(every_parameter()[name].label_key)


def _metric(name: str, say: Say) -> str:
    """The title of a metric; its own name where no words have one."""
    try:
        return say(f"live.metric.{name}")
    except KeyError:
        return name


def _results(run: Run, say: Say) -> str:
    """Return the ending, the metrics and the kept weights."""
    result = run.result or {}
    rows = [(say("runs.run"), run.id), (say("runs.state"), say(f"state.{run.reason or run.state}"))]
    begun = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(run.created))
    rows += [(say("runs.created"), begun), (say("runs.step"), f"{run.step:,}")]
    for part, metrics in result.get("metrics", {}).items():
        values = " · ".join(f"{_metric(name, say)} {format_number(v)}" for name, v in metrics.items())
        rows.append((say(f"report.run.{part}"), values))
    if result:
        kept = {"kept": f"{result['nonzeros']:,}", "budget": f"{result['budget']:,}"}
        rows.append(
            (say("report.run.nonzeros"), say("report.run.kept", **kept, share=f"{result['density']:.2%}"))
        )
        rows.append((say("report.run.time"), f"{result['seconds']:.1f} s · {result['device']}"))
    if run.error:
        rows.append((say("state.failed"), run.error))
    return fact_list(rows)


def _layers(run: Run, say: Say) -> str:
    rows = (run.result or {}).get("layers", [])
    if not rows:
        return ""
    heads = ("report.run.layer", "report.run.shape", "report.run.nonzeros", "figure.kept")
    cells = [
        (
            layer_name(row["name"], say),
            "×".join(map(str, row["shape"])),
            f"{row['nonzeros']:,}",
            f"{row['density']:.1%}" + ("" if row["prunable"] else f" · {say('report.run.free')}"),
        )
        for row in rows
    ]
    return table_html(heads, cells, say)


def _figures(
    run: Run, records: Sequence[training.StepScalars], picture: Picture | None, say: Say, language: str
) -> str:
    """Return the curves of the recorded scalars, and the paper's figures for this run."""
    method, metric, shown = run.config.method, tasks()[run.config.task].metric.name, []
    if records:
        names = [row["name"] for row in (run.result or {}).get("layers", []) if row["name"] != "embedding"]
        names = names[: len(records[0][1]["density"])]
        shown = [
            ("metric", training.metric_while_training(records, metric, method, say)),
            ("loss", training.loss_while_training(records, method, say)),
            ("density", training.density_while_training(records, names, say)),
        ]
    if picture is not None:
        network = {kind: picture.frame.picture(kind) for kind, _ in PICTURED.values()}
        found = list(WEIGHTS.items()) if picture.matrices else []
        found += [(f, draw) for f, (kind, draw) in PICTURED.items() if network[kind] is not None]
        shown += [(name, draw([picture], say)) for name, draw in found]
    return "".join(
        figure_html(figure, say(f"report.run.figure.{name}"), f"{language}-{name}") for name, figure in shown
    )


def _settings(run: Run, changes: Sequence[tuple[int, dict[str, Any]]], say: Say) -> str:
    """Return the parameters that make a difference to the run, and their changes during training."""
    used = run.config.used()
    rows = [(_label(name, say), parameter_text(name, value, say)) for name, value in used.items()]
    for step, changed in changes:
        changes_text = (
            f"{_label(name, say)} = {parameter_text(name, value, say)}" for name, value in changed.items()
        )
        rows.append((say("report.run.changed", step=f"{step:,}"), ", ".join(changes_text)))
    return fact_list(rows)
