"""Make room on the disk: remove the oldest runs of the store."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from sparsecore.commands.terminal import JsonFlag, escape_controls, messages, refuse, show
from sparsecore.runs.store import disk
from sparsecore.runs.store.store import Store
from sparsecore.settings import parse_size, size_text

app = typer.Typer()


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
    try:
        target = disk.limit() if to is None else parse_size(to)
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
    if as_json:
        print(json.dumps({"removed": ids, "count": count, "before": plan.usage.used, "after": now}))
    else:
        show(f"Runs deleted: {count:,}. The store takes {size_text(now)}.")


def _print_plan(plan: disk.RemovalPlan) -> None:
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
