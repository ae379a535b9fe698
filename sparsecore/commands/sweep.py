"""`python -m sparsecore sweep`: train a grid of methods, densities and seeds, on every core or a cluster."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from sparsecore.commands.flags import (
    DataFlag,
    TaskArgument,
    open_store,
    read_list,
    with_parameters,
)
from sparsecore.commands.terminal import FAILED, JsonFlag, answer, messages, options_of, refuse
from sparsecore.engine.config import PAPER_METHODS, PARAMETERS
from sparsecore.figures.csv import as_csv
from sparsecore.runs.store.limits import require_all_fit
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import estimates, stored
from sparsecore.runs.sweeps.executors import Executor, Local
from sparsecore.runs.sweeps.results import cell_row, method_rows
from sparsecore.runs.sweeps.spec import FINAL, FINISHED, GRID, Cell, SweepSpec
from sparsecore.runs.workers.batching import Choice
from sparsecore.settings import usable_cores

app = typer.Typer()

PAPER_GRID = "1,0.9,0.8,0.7,0.6,0.5,0.4,0.3,0.2,0.1,0.05"  # of Tables 3-1 and 3-2
COUNTED = ("queued", "running", "paused", "done", "collapsed", "failed", "stopped", "missing")


def executor_of(
    store: Store,
    *,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Simultaneous runs, one core each. Default: the number of cores."),
    ] = None,
    executor: Annotated[Literal["local", "ray"], typer.Option(help="Where to train the runs.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster, such as ray://host:10001.")
    ] = None,
    gpus_per_run: Annotated[
        float | None, typer.Option(min=0, help="With ray: GPUs per run; below 1, runs share a GPU.")
    ] = None,
    batch: Annotated[
        Choice,
        typer.Option(help="Train small networks as one batch: auto on a GPU only, always on a CPU too."),
    ] = "auto",
) -> Executor:
    """Return what trains the runs; print an error and exit if this machine lacks it."""
    if executor == "local":
        return Local(store, workers, batch)
    if batch == "always":
        refuse("--batch always needs --executor local; a cluster trains runs one by one.")
    from sparsecore.runs.sweeps.ray import ClusterError, Ray

    share = {} if gpus_per_run is None else {"gpus_per_run": gpus_per_run}
    try:
        return Ray(store, address, workers=workers, **share)
    except ClusterError as error:  # no Ray, or a store that the cluster's machines cannot see
        refuse(str(error))


@app.command()
@with_parameters(without=(*GRID, "data"), of=executor_of)
def sweep(
    task: TaskArgument,
    methods: Annotated[str, typer.Option(help="Methods, such as global,layerwise.")] = ",".join(
        PAPER_METHODS
    ),
    densities: Annotated[
        str, typer.Option(help="Values of ρ; 1 is dense, trained once per seed.")
    ] = PAPER_GRID,
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0,1,2.")] = "0",
    data: DataFlag = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write one row per run to this file.")
    ] = None,
    as_json: JsonFlag = False,
    **parameters: Any,
) -> None:
    """Train every method, density and seed of a grid; runs in the store are reused."""
    options = options_of(executor_of, parameters)
    grid = [read_list("method", methods), read_list("density", densities), read_list("seed", seeds)]
    store, spec = build_spec(task, *grid, parameters, data)
    require_all_fit(spec.configs(), store.home)
    cells = train_all(store, spec, executor_of(store, **options), options["workers"])
    _print(spec, cells, csv_file, as_json)
    if not all(cell.status in FINISHED for cell in cells):
        raise typer.Exit(FAILED)


def build_spec(
    task: str,
    methods: tuple[str, ...],
    densities: tuple[float, ...],
    seeds: tuple[int, ...],
    parameters: dict[str, Any],
    data: Path | None,
) -> tuple[Store, SweepSpec]:
    """Open the store and build the specification of the runs. Raises ConfigError and CorpusError."""
    store, given = open_store({"task": task} | parameters, data)
    spec = SweepSpec(
        task=given.pop("task"),
        methods=methods,
        densities=densities,
        seeds=seeds,
        parameters=changed(given),
    )
    spec.configs()
    return store, spec


def changed(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that differ from their defaults."""
    defaults = {name: row.default for name, row in PARAMETERS.items()}
    return {n: value for n, value in parameters.items() if value is not None and value != defaults.get(n)}


def train_all(store: Store, spec: SweepSpec, executor: Executor, workers: int | None = None) -> list[Cell]:
    """Train the missing runs and show their progress. Ctrl-C cancels queued runs and ends with code 1."""
    sweep_id = stored.begin(store, spec, origin="cli")
    try:
        with _progress(sweep_id, spec, workers or usable_cores()) as on_cells:
            executor.run(sweep_id, on_cells)
    except KeyboardInterrupt:
        stored.stop(store, sweep_id)
        messages.print(
            f"Stopped sweep {sweep_id}: results so far are saved. To continue, run the same command "
            "or press Resume on the Sweep page.",
            highlight=False,
        )
        raise typer.Exit(FAILED) from None
    return stored.cells_of(store, spec)


@contextmanager
def _progress(sweep_id: str, spec: SweepSpec, workers: int) -> Iterator[Any]:
    """Show a bar with the time left above a row of counts, on standard error."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}")
    )
    task = bar.add_task(f"{spec.task} sweep {sweep_id}", left="")
    with Live(bar, console=messages, refresh_per_second=4) as live:

        def on_cells(cells: Sequence[Cell]) -> None:
            count = Counter(cell.status for cell in cells)
            left = estimates.progress(cells, workers).seconds_left
            ended = sum(count[status] for status in FINAL)
            bar.update(task, completed=ended, total=len(cells), left=f"{duration(left)} left" if left else "")
            row = "   ".join(f"{count[status]} {status}" for status in COUNTED if count[status])
            live.update(Group(bar, Text(row)))

        yield on_cells


def duration(seconds: float) -> str:
    """Format seconds in two units.

    >>> duration(7505), duration(65.2), duration(3.4)
    ('2 h 5 min', '1 min 5 s', '3 s')
    """
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def _print(spec: SweepSpec, cells: Sequence[Cell], csv_file: Path | None, as_json: bool) -> None:
    rows, means = [cell_row(cell) for cell in cells], method_rows(cells)
    if csv_file is not None:
        csv_file.write_text(as_csv(list(rows[0]), [list(row.values()) for row in rows]), encoding="utf-8")
    table = Table("method", "ρ", "runs", "metric", "train", "test", "95 %", "collapsed", "failed", box=None)
    for row in means:
        interval = "" if row["low"] is None else f"{row['low']:.4f} to {row['high']:.4f}"
        figures = ["" if row[part] is None else f"{row[part]:.4f}" for part in ("train", "test")]
        ends = [str(row["collapsed"] or ""), str(row["failed"] or "")]
        table.add_row(
            row["method"],
            f"{row['density']:g}",
            str(row["n"]),
            row["metric"] or "",
            *figures,
            interval,
            *ends,
        )
    answer({"spec": spec.model_dump(mode="json"), "cells": rows, "summary": means}, as_json, table)
