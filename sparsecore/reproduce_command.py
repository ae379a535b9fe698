"""`python -m sparsecore reproduce 3-1`: a table of the paper again, ours beside theirs, and why they differ."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from sparsecore.config import PARAMETERS, TEXTS, ConfigError
from sparsecore.corpora import CorpusError
from sparsecore.dashboard.words import LANGUAGES, speaker
from sparsecore.reproduce import gather, pictures
from sparsecore.reproduce.comparison import PARTS, Compared, Comparison, compare
from sparsecore.reproduce.markup import breaking_sentences, sorting_sentences
from sparsecore.reproduce.paper import SORTING, TABLES
from sparsecore.reproduce.plan import Plan
from sparsecore.reproduce.reasons import Say, reasons
from sparsecore.reproduce.record import Reproduction, pictures_path, ship
from sparsecore.reproduce.settings import settings_of
from sparsecore.runs import sweeps
from sparsecore.runs.executors import Local
from sparsecore.runs.store import Store
from sparsecore.runs.sweep import Cell
from sparsecore.terminal import FAILED, JsonFlag, eyes, print_figures, refuse, show

FACTS = ("density", "column", "status")


def reproduce(
    table: Annotated[str, typer.Argument(help="3-1 (sinc), 3-2 (spirals), 3-4 (texts) or 3-5 (sorting).")],
    seeds: Annotated[str, typer.Option(help="Each draws data and initial weights anew.")] = "0,1,2",
    size: Annotated[str, typer.Option(help="Of the networks: paper is the thesis's.")] = "paper",
    further: Annotated[bool, typer.Option("--further", help="Also ρ = 0.02, 0.01 and 0.005.")] = False,
    max_steps: Annotated[int | None, typer.Option(help="Of every run; left out, the size's.")] = None,
    data: Annotated[Path | None, typer.Option(help="For 3-4: a file of graded texts, or a kept name.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; left out, one a core.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write one HTML file that needs nothing else.")] = None,
    language: Annotated[Literal["en", "zh", "both"], typer.Option(help="Of the report.")] = "both",
    ship_to: Annotated[
        Path | None, typer.Option("--ship", help="Write the finished data here, such as assets/paper.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Train a table of the paper and print ours beside theirs; what the store has already is not trained."""
    if table == SORTING:
        return _sort(as_json)
    if table not in TABLES:
        refuse(f"the table must be one of {', '.join((*TABLES, SORTING))}; got {table!r}.")
    try:
        plan = _plan(table, seeds, size, further, {"max_steps": max_steps}, data)
    except (ConfigError, CorpusError) as error:
        refuse(str(error))
    store = Store()
    _train(store, plan, workers or os.cpu_count() or 1)
    whole = compare(gather.found(store, plan))
    shown = gather.pictures(store, plan)
    if report is not None:
        _write_report(whole.found, shown, report, tuple(LANGUAGES) if language == "both" else (language,))
    print(json.dumps(as_data(whole), ensure_ascii=False)) if as_json else _print(whole, speaker("en"))
    if ship_to is not None:
        _ship(whole.found, shown, ship_to)
    if any(not trial.finished or trial.status == "failed" for trial in whole.found.trials):
        raise typer.Exit(FAILED)
    return None


def _plan(
    table: str, seeds: str, size: str, further: bool, given: dict[str, Any], data: Path | None
) -> Plan:
    """What is asked for; a `ConfigError` or a `CorpusError` for what does not fit."""
    numbers = tuple(dict.fromkeys(PARAMETERS["seed"].read(seed) for seed in seeds.split(",")))
    parameters = {name: value for name, value in given.items() if value is not None}
    if data is not None:
        if Plan(table).paper.task != TEXTS:
            raise ConfigError("data", str(data), f"left out: table {table} reads no texts")
        from sparsecore.text_commands import kept_id

        parameters["data"] = kept_id(data)
    plan = Plan(table, numbers, size, further, parameters)
    plan.configs()  # whatever does not fit is told before anything is written
    return plan


def _train(store: Store, plan: Plan, workers: int) -> None:
    """Train what is missing, with a bar; Ctrl-C takes back what is queued and keeps what was reached."""
    begun = gather.begin(store, plan)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ExitStack() as leaving, Progress(*columns, console=eyes) as bar:
        leaving.callback(lambda: [sweeps.stop(store, sweep_id) for sweep_id in begun])
        total = len(plan.configs())
        shown = bar.add_task(f"table {plan.table}", total=total)

        def listen(_cells: Sequence[Cell]) -> None:
            left = gather.unfinished(gather.cells_of(store, plan))
            bar.update(shown, completed=total - left)

        for sweep_id in reversed(begun):  # the largest first: one executor trains all that is queued
            Local(store, workers).run(sweep_id, listen)
        leaving.pop_all()


def _write_report(
    found: Reproduction, shown: dict[str, pictures.Picture], path: Path, languages: tuple[str, ...]
) -> None:
    from sparsecore.report import report as make  # plotly takes half a second: only when it is wanted

    path.write_text(make(found, shown, languages), encoding="utf-8")
    eyes.print(f"The report is in {path}.", highlight=False)


def _ship(found: Reproduction, shown: dict[str, pictures.Picture], folder: Path) -> None:
    try:
        path = ship(found, folder)
    except ValueError as error:
        refuse(str(error), FAILED)
    pictures.save(shown, pictures_path(found.table, folder))
    eyes.print(f"Shipped as {path}.", highlight=False)


# -- what is printed --------------------------------------------------------------------------------------


def as_data(whole: Comparison) -> dict[str, Any]:
    """The comparison as JSON: every cell, its reasons in both languages, the settings and the runs."""
    speakers = {language: speaker(language) for language in LANGUAGES}
    found = whole.found
    return {
        **found.model_dump(mode="json", exclude={"trials"}),
        "metric": whole.table.metric,
        "cells": [
            _cell(cell, whole, speakers) for cells in whole.rows.values() for cell in cells.values()
        ],
        "breaks": {name: breaking_sentences(whole, say) for name, say in speakers.items()},
        "settings": [
            {
                "name": setting.name,
                "kind": setting.kind,
                "thesis": {name: setting.thesis(say) for name, say in speakers.items()},
                "ours": {name: setting.chosen(say) for name, say in speakers.items()},
            }
            for setting in settings_of(found)
        ],
        "runs": [trial.model_dump(mode="json") for trial in found.trials],
    }


def _cell(cell: Compared, whole: Comparison, speakers: dict[str, Say]) -> dict[str, Any]:
    told = reasons(cell, whole)
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
    sentences = {name: " ".join(reason.sentence(say) for reason in told) for name, say in speakers.items()}
    return facts | {"holds": whole.holds(cell), "reasons": [reason.key for reason in told], "why": sentences}


def _print(whole: Comparison, say: Say) -> None:
    table = whole.table
    rows = Table("ρ", "method", "thesis", "ours", "±", "difference", "", "why", box=None)
    for cells in whole.rows.values():
        for cell in cells.values():
            test = cell.test
            ours = test.ours
            rows.add_row(
                f"{cell.density:g}",
                say(f"method.{cell.column}"),
                "" if test.paper is None else table.written(test.paper),
                "" if ours is None else table.written(ours.mean),
                "" if ours is None or ours.half is None else table.written(ours.half),
                "" if test.difference is None else table.written(test.difference, signed=True),
                "" if test.verdict is None else say(f"paper.verdict.{test.verdict}"),
                " ".join(reason.sentence(say) for reason in reasons(cell, whole)),
            )
    show(rows)
    show("\n".join(breaking_sentences(whole, say)))
    show(f"\n{say('paper.settings.title')}:")
    for setting in settings_of(whole.found):
        show(f"- {setting.thesis(say)} → {setting.chosen(say)}")


def _sort(as_json: bool) -> None:
    """Table 3-5: measured here and now, some twenty seconds."""
    from sparsecore.bench.sorting import sorting

    found = sorting()
    if as_json:
        return print_figures(found, True)
    theirs = {"way": "heap sort, as the thesis prints it"} | {
        scope: found["paper"][scope] for scope in ("global", "layerwise")
    }
    print_figures({"seconds": [theirs, *found["rows"]]}, False)
    say = speaker("en")
    show("\n".join(sorting_sentences(found, say)) + f" {found['measured_by']}")
    return None
