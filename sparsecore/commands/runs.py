"""List and search the runs of the store; name, pin, delete and restore one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.table import Table

from sparsecore.commands.terminal import JsonFlag, RunId, messages, recovered_store, refuse, show
from sparsecore.engine.cards import methods, tasks
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.catalogue import STATES, RunFilter, find
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store

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
    if as_json:
        print(json.dumps([run.summary() for run in found], ensure_ascii=False))
        return
    if not found:
        nothing = (
            "No runs yet: python -m sparsecore train sinc" if wanted == RunFilter() else "No matching runs."
        )
        show(nothing)
        return
    show(_table(found))


def _table(found: list[Run]) -> Table:
    labelled = any(run.name or run.pinned for run in found)
    names = ("name", "pinned") if labelled else ()
    table = Table("run", *names, "task", "size", "method", "ρ", "seed", "state", "steps", "test", box=None)
    for run in found:
        config = run.config
        labels = (run.name or "", "yes" if run.pinned else "") if labelled else ()
        cells = (config.task, config.size, config.method, f"{config.density:g}", str(config.seed))
        state = run.reason or run.state
        table.add_row(run.id, *labels, *cells, state, f"{run.step:,}", _test_metric(run))
    return table


def _test_metric(run: Run) -> str:
    test = (run.result or {}).get("metrics", {}).get("test", {})
    return "  ".join(f"{name} {value:.4f}" for name, value in list(test.items())[:1])


@app.command()
def name(
    run: RunId,
    words: Annotated[str, typer.Argument(metavar="NAME", help="Name of the run; empty removes it.")],
    note: Annotated[str | None, typer.Option(help="Note on the run.")] = None,
) -> None:
    """Name a run, or add a note to it."""
    try:
        _do(catalogue.describe, run, name=words, note=note)
    except catalogue.TooLong as error:
        refuse(str(error))


@app.command()
def pin(run: RunId, off: Annotated[bool, typer.Option("--off", help="Unpin the run.")] = False) -> None:
    """Pin a run: it is listed first and never deleted to free space."""
    _do(catalogue.pin, run, pinned=not off)


@app.command()
def delete(run: RunId) -> None:
    """Delete a run; `restore` undoes this for ten minutes."""
    catalogue.purge(Store())
    _do(catalogue.remove, run)
    minutes = catalogue.UNDO_SECONDS / 60
    messages.print(f"To undo within {minutes:g} minutes: python -m sparsecore restore {run}")


@app.command()
def restore(run: RunId) -> None:
    """Restore a deleted run."""
    try:
        catalogue.restore(Store(), run)
    except KeyError:
        refuse(f"there is no deleted run {run!r}: it was erased or never deleted.")


def _do(act: Callable[..., Any], run: str, **values: Any) -> None:
    try:
        act(Store(), run, **values)
    except KeyError:
        refuse(f"there is no run {run!r}; list the runs with python -m sparsecore runs.")
