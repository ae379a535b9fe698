"""Reproduce a table of the paper: `python -m sparsecore reproduce 3-1`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from sparsecore.commands.data import reading
from sparsecore.commands.flags import DataFlag, open_store, read_list, with_parameters
from sparsecore.commands.sweep import changed, executor_of
from sparsecore.commands.terminal import FAILED, JsonFlag, messages, options_of, print_figures, refuse, show
from sparsecore.engine.cards import tasks
from sparsecore.engine.config import PAPER_METHODS, ConfigError
from sparsecore.figures.html.paper_tables import breaking_sentences, sorting_sentences
from sparsecore.paper import pictures
from sparsecore.paper.comparison import PARTS, ComparedCell, Comparison, compare
from sparsecore.paper.plan import FLOORS, TablePlan
from sparsecore.paper.reasons import assumptions_of, reasons
from sparsecore.paper.reproduction import (
    Reproduction,
    all_cells,
    enqueue,
    load_pictures,
    load_reproduction,
    pictures_path,
    write_shipped,
)
from sparsecore.paper.thesis import SORTING, TABLES, paper_table
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.executors import Executor
from sparsecore.runs.sweeps.spec import GRID, Cell, count_ended
from sparsecore.words import LANGUAGES, Say, speaker

app = typer.Typer()

FACTS = ("density", "column", "status")
HEADS = ("ρ", "method", "thesis", "ours", "±", "difference", "", "why")


@app.command()
@with_parameters(without=(*GRID, "data", "size", *FLOORS), of=executor_of)
def reproduce(
    table: Annotated[str, typer.Argument(help="3-1 (sinc), 3-2 (spirals), 3-4 (texts) or 3-5 (sorting).")],
    seeds: Annotated[str, typer.Option(help="Seeds; each draws new data and initial weights.")] = "0,1,2",
    size: Annotated[str, typer.Option(help="Size of the networks; paper is the thesis's.")] = "paper",
    further: Annotated[bool, typer.Option("--further", help="Also train ρ = 0.02, 0.01 and 0.005.")] = False,
    data: DataFlag = None,
    report: Annotated[Path | None, typer.Option(help="Write a self-contained HTML file.")] = None,
    language: Annotated[Literal["en", "zh", "both"], typer.Option(help="Language of the report.")] = "both",
    ship_to: Annotated[
        Path | None,
        typer.Option("--ship", help="Write the finished results to this folder, such as assets/paper."),
    ] = None,
    as_json: JsonFlag = False,
    **parameters: Any,
) -> None:
    """Reproduce a table of the thesis and compare the results; runs in the store are reused."""
    options = options_of(executor_of, parameters)
    if table == SORTING:
        return _sort(as_json)
    if table not in TABLES:
        refuse(f"the table must be one of {', '.join((*TABLES, SORTING))}; got {table!r}.")
    store, plan = _plan(table, seeds, size, further, parameters, data)
    _train(store, plan, executor_of(store, **options))
    whole, shown = compare(load_reproduction(store, plan)), load_pictures(store, plan)
    if as_json:
        print(json.dumps(as_data(whole)))
    else:
        _print(whole)
    if report is not None:
        _write_report(
            whole.reproduction, shown, report, tuple(LANGUAGES) if language == "both" else (language,)
        )
    if ship_to is not None:
        _ship(whole.reproduction, shown, ship_to)
    if any(not trial.finished or trial.status == "failed" for trial in whole.reproduction.trials):
        raise typer.Exit(FAILED)
    return None


def _plan(
    table: str, seeds: str, size: str, further: bool, parameters: dict[str, Any], data: Path | None
) -> tuple[Store, TablePlan]:
    """Open the store and plan the runs. Raises ConfigError and CorpusError before anything is written."""
    task = paper_table(table).task
    if data is not None and not tasks()[task].reads_texts:
        raise ConfigError("data", str(data), f"omitted: table {table} uses no texts")
    options = options_of(reading, parameters)
    numbers, given = tuple(dict.fromkeys(read_list("seed", seeds))), changed(parameters)
    TablePlan(table, numbers, size, further, given).configs()
    store, opened = open_store({"task": task, "size": size} | given | options, data)
    given = {name: value for name, value in opened.items() if name not in ("task", "size")}
    return store, TablePlan(table, numbers, size, further, given)


def _train(store: Store, plan: TablePlan, executor: Executor) -> None:
    """Train the missing runs with a bar. Ctrl-C cancels queued runs, saves others and ends with code 1."""
    sweeps = enqueue(store, plan)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = len(plan.configs())
    try:
        with Progress(*columns, console=messages) as bar:
            shown = bar.add_task(f"table {plan.table}", total=total)

            def on_cells(_cells: Sequence[Cell]) -> None:
                bar.update(shown, completed=count_ended(all_cells(store, plan)))

            first, *more = sweeps
            executor.run(first, on_cells, *more)
    except KeyboardInterrupt:
        for sweep_id in sweeps:
            stored.stop(store, sweep_id)
        messages.print("Stopped: results so far are saved. Run the same command to continue.")
        raise typer.Exit(FAILED) from None


def _write_report(
    found: Reproduction, shown: dict[str, pictures.Picture], path: Path, languages: tuple[str, ...]
) -> None:
    from sparsecore.figures.reports.paper import (
        paper_report as make,  # imports plotly, which takes half a second
    )

    path.write_text(make(found, shown, languages), encoding="utf-8")
    messages.print(f"Report written to {path}.", highlight=False)


def _ship(found: Reproduction, shown: dict[str, pictures.Picture], folder: Path) -> None:
    try:
        path = write_shipped(found, folder)
    except ValueError as error:
        refuse(str(error), FAILED)
    pictures.write_pictures(shown, pictures_path(found.table, folder))
    messages.print(f"Results written to {path}.", highlight=False)


# -- printing ---------------------------------------------------------------------------------------------


def as_data(whole: Comparison) -> dict[str, Any]:
    """The comparison as JSON: every cell, its reasons in both languages, the settings and the runs."""
    speakers = {language: speaker(language) for language in LANGUAGES}
    found = whole.reproduction
    return {
        **found.model_dump(mode="json", exclude={"trials"}),
        "metric": whole.table.metric,
        "cells": [_cell(cell, whole, speakers) for cells in whole.rows.values() for cell in cells.values()],
        "breaks": {name: breaking_sentences(whole, say) for name, say in speakers.items()},
        "settings": [
            {
                "name": setting.name,
                "kind": setting.kind,
                "thesis": {name: setting.thesis(say) for name, say in speakers.items()},
                "ours": {name: setting.chosen(say) for name, say in speakers.items()},
            }
            for setting in assumptions_of(found)
        ],
        "runs": [trial.model_dump(mode="json") for trial in found.trials],
    }


def _cell(cell: ComparedCell, whole: Comparison, speakers: dict[str, Say]) -> dict[str, Any]:
    found = reasons(cell, whole)
    facts = {name: getattr(cell, name) for name in FACTS}
    for part in PARTS:
        side = cell.sides[part]
        facts[part] = {
            "paper": side.paper,
            "ours": side.ours and side.ours.mean,
            "half_interval": side.ours and side.ours.half,
            "runs": side.ours.count if side.ours else 0,
            "difference": side.difference,
            "verdict": side.verdict,
        }
    sentences = {name: " ".join(reason.sentence(say) for reason in found) for name, say in speakers.items()}
    return facts | {"holds": whole.holds(cell), "reasons": [reason.key for reason in found], "why": sentences}


def _print(whole: Comparison) -> None:
    say, table = speaker("en"), whole.table
    rows = Table(*HEADS, box=None)
    for cells in whole.rows.values():
        for cell in cells.values():
            test = cell.test
            ours = test.ours
            rows.add_row(
                f"{cell.density:g}",
                say(f"method.{cell.column}"),
                "" if test.paper is None else table.format_value(test.paper),
                "" if ours is None else table.format_value(ours.mean),
                "" if ours is None or ours.half is None else table.format_value(ours.half),
                "" if test.difference is None else table.format_value(test.difference, signed=True),
                "" if test.verdict is None else say(f"paper.verdict.{test.verdict}"),
                " ".join(reason.sentence(say) for reason in reasons(cell, whole)),
            )
    show(rows)
    show("\n".join(breaking_sentences(whole, say)))
    show(f"\n{say('paper.settings.title')}:")
    for setting in assumptions_of(whole.reproduction):
        show(f"- {setting.thesis(say)} → {setting.chosen(say)}")


def _sort(as_json: bool) -> None:
    """Measure Table 3-5, in about twenty seconds."""
    from sparsecore.commands.benchmarks.projection import sorting

    found = sorting()
    if as_json:
        return print_figures(found, True)
    theirs = {"way": "heap sort, thesis"} | {scope: found["paper"][scope] for scope in PAPER_METHODS}
    print_figures({"seconds": [theirs, *found["rows"]]}, False)
    say = speaker("en")
    show("\n".join(sorting_sentences(found, say)) + f" {found['measured_by']}")
    return None
