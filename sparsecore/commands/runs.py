"""The runs of the store: list, search and show them, name, pin, delete and restore one, make room."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from sparsecore.commands.terminal import (
    JsonFlag,
    RunId,
    answer,
    escape_controls,
    messages,
    recovered_store,
    refuse,
    store_with,
)
from sparsecore.engine.cards import methods, tasks
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.catalogue import STATES, RunFilter, find
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store
from sparsecore.settings import parse_size, read_setting, size_text

if TYPE_CHECKING:
    from sparsecore.runs.store.disk import RemovalPlan

app = typer.Typer()

TASKS, METHODS = tuple(tasks()), tuple(methods())


def _one_of(choices: tuple[str, ...]) -> Callable[[str | None], str | None]:
    """Return a check that a value is one of these."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in choices:
            raise typer.BadParameter(f"one of {', '.join(choices)}; got {value!r}.")
        return value

    return check


@app.command()
def runs(
    as_json: JsonFlag = False,
    limit: Annotated[
        int, typer.Option(min=1, help="Maximum number; pinned runs first, then the newest.")
    ] = 50,
    search: Annotated[str, typer.Option(help="Text in the id, name or note.")] = "",
    task: Annotated[str | None, typer.Option(callback=_one_of(TASKS), help=", ".join(TASKS))] = None,
    method: Annotated[str | None, typer.Option(callback=_one_of(METHODS), help=", ".join(METHODS))] = None,
    state: Annotated[str | None, typer.Option(callback=_one_of(STATES), help=", ".join(STATES))] = None,
    pinned: Annotated[bool, typer.Option("--pinned", help="Only pinned runs.")] = False,
) -> None:
    """List or search the runs of the store."""
    wanted = RunFilter(text=search, task=task, method=method, state=state, pinned=pinned)
    found = find(recovered_store(), wanted, limit)
    none = "No runs yet: python -m sparsecore train sinc" if wanted == RunFilter() else "No matching runs."
    answer([run.summary() for run in found], as_json, _table(found) if found else none)


def _table(found: list[Run]) -> Table:
    labelled = any(run.name or run.pinned for run in found)
    names = ("name", "pinned") if labelled else ()
    table = Table("run", *names, "task", "size", "method", "ρ", "seed", "state", "steps", "test", box=None)
    for run in found:
        config = run.config
        labels = (run.name or "", "yes" if run.pinned else "") if labelled else ()
        density = f"{config.density:g}" if "density" in config.used() else ""
        cells = (config.task, config.size, config.method, density, str(config.seed))
        state = run.reason or run.state
        table.add_row(run.id, *labels, *cells, state, f"{run.step:,}", _test_metric(run))
    return table


def _test_metric(run: Run) -> str:
    test = (run.result or {}).get("metrics", {}).get("test", {})
    return "  ".join(f"{name} {value:.4f}" for name, value in list(test.items())[:1])


@app.command()
def show(run: RunId, as_json: JsonFlag = False) -> None:
    """Show the settings and results of a run."""
    recovered_store()
    print_run(store_with(run).get(run), as_json)


def print_run(run: Run, as_json: bool) -> None:
    """Print a run for people, or as JSON."""
    config, result = run.config, run.result or {}
    lines = [
        f"run        {run.id}   {run.reason or run.state}{_why(run)}",
        *_labels(run),
        f"task       {config.task} ({config.size}), seed {config.seed}",
        f"method     {config.method}, ρ = {config.density:g}",
    ]
    if result:
        lines.append(
            f"non-zeros  {result['nonzeros']:,} of a budget of {result['budget']:,}"
            f" (density {result['density']:.4f}) after {result['steps']:,} steps, {result['seconds']:.1f} s"
        )
        if "weights" in result:
            counts = "  ".join(f"{name} {count:,}" for name, count in result["weights"].items())
            lines.append(f"weights    {counts}; padding waste {result['padding_waste']:.3f}")
        for part, figures in result["metrics"].items():
            lines.append(f"{part:<10} " + "  ".join(f"{name} {value:.4f}" for name, value in figures.items()))
        for layer in result["layers"]:
            exempt = "" if layer["prunable"] else "  (not pruned)"
            shape = "×".join(str(side) for side in layer["shape"])
            lines.append(f"  {layer['name']:<20} {shape:>10}  {layer['density']:7.1%}{exempt}")
    answer(run.summary(), as_json, "\n".join(lines))


def _labels(run: Run) -> list[str]:
    note = (run.note or "").replace("\n", "\n           ")
    labels = {"name": run.name, "note": note, "pinned": "yes" if run.pinned else None}
    return [f"{key:<10} {value}" for key, value in labels.items() if value]


def _why(run: Run) -> str:
    detail = run.detail or {}
    if run.error:
        return f": {run.error}"
    if run.reason == "collapsed":
        what = f"layer {detail['layer']} is empty" if "layer" in detail else "the output ignores the input"
        return f": {what} from step {detail['step']:,}"
    if run.reason == "diverged":
        return f": the {detail['what']} became infinite or NaN at step {detail['step']:,}"
    return ""


@app.command()
def name(
    run: RunId,
    words: Annotated[str, typer.Argument(metavar="NAME", help="Name of the run; empty removes it.")],
    note: Annotated[str | None, typer.Option(help="Note on the run.")] = None,
) -> None:
    """Name a run, or add a note to it."""
    catalogue.describe(store_with(run), run, name=words, note=note)


@app.command()
def pin(run: RunId, off: Annotated[bool, typer.Option("--off", help="Unpin the run.")] = False) -> None:
    """Pin a run: it is listed first and never deleted to free space."""
    catalogue.pin(store_with(run), run, pinned=not off)


@app.command()
def delete(run: RunId) -> None:
    """Delete a run; `restore` undoes this for ten minutes."""
    catalogue.purge(Store())
    catalogue.remove(store_with(run), run)
    minutes = catalogue.UNDO_SECONDS / 60
    messages.print(f"To undo within {minutes:g} minutes: python -m sparsecore restore {run}")


@app.command()
def restore(run: RunId) -> None:
    """Restore a deleted run."""
    try:
        catalogue.restore(Store(), run)
    except KeyError:
        refuse(f"there is no deleted run {run!r}: it was erased or never deleted.")


@app.command()
def prune(
    to: Annotated[
        str | None,
        typer.Option(help="Maximum size of the store, such as 2GB. Default: SPARSECORE_MAX_DISK."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make room on the disk: permanently remove the oldest runs that are finished and not pinned."""
    from sparsecore.runs.store import disk  # not for a list of runs, which should come at once

    try:
        target = read_setting("max_disk") if to is None else parse_size(to)
    except ValueError as error:
        refuse(str(error))
    if target is None:
        refuse("give the maximum size of the store, such as --to 2GB, or set SPARSECORE_MAX_DISK.")
    store = Store()
    plan = disk.plan_removal(store, target)
    _print_plan(plan)
    if plan.runs and not yes and not typer.confirm("Delete them permanently?", err=True):
        raise typer.Exit(1)
    ids = [run.id for run, _ in plan.runs]
    count = disk.prune(store, ids) if ids or plan.usage.used > target else 0
    now = disk.usage(store).used
    value = {"removed": ids, "count": count, "before": plan.usage.used, "after": now}
    answer(value, as_json, f"Runs deleted: {count:,}. The store takes {size_text(now)}.")


def _print_plan(plan: RemovalPlan) -> None:
    """Print which runs would be removed, on standard error."""
    takes, after = size_text(plan.usage.used), size_text(plan.after)
    messages.print(f"The store takes {takes}; the maximum is {size_text(plan.target)}.", highlight=False)
    if plan.runs:
        table = Table("run", "name", "task", "method", "ρ", "state", "size", box=None)
        for run, size in plan.runs:
            cells = (run.config.task, run.config.method, f"{run.config.density:g}", run.reason or run.state)
            table.add_row(run.id, Text(escape_controls(run.name or "")), *cells, size_text(size))
        messages.print(table)
        messages.print(
            f"These {len(plan.runs):,} runs would be deleted; about {after} would remain.", highlight=False
        )
    if not plan.enough:
        messages.print("All other runs are kept: they are pinned or have not ended.", highlight=False)
