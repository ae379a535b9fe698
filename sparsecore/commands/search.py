"""Search for densities by training: `python -m sparsecore smallest | search`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.status import Status
from rich.table import Table

from sparsecore.commands.flags import DataFlag, TaskArgument, read_list, with_parameters
from sparsecore.commands.sweep import build_spec, executor_of
from sparsecore.commands.terminal import FAILED, JsonFlag, answer, messages, options_of, refuse, show
from sparsecore.engine.cards import taking
from sparsecore.engine.config import PARAMETERS, ConfigError
from sparsecore.runs.sweeps.bisection import LOWEST, Bisection, NoBaseline
from sparsecore.runs.sweeps.spec import GRID, Cell
from sparsecore.settings import usable_cores

if TYPE_CHECKING:  # imports torch and Optuna
    from sparsecore.runs.sweeps.layer_search import LayerSearch

app = typer.Typer()

MethodFlag = Annotated[str, typer.Option(help=f"One of {', '.join(taking('density'))}.")]
DEFAULT = PARAMETERS["method"].default
SeedsFlag = Annotated[str, typer.Option(help="Seeds to average over, such as 0,1,2.")]


@app.command()
@with_parameters(without=(*GRID, "data", "batch"), of=executor_of)
def smallest(
    task: TaskArgument,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Tolerance, as a share of the dense test metric.")
    ] = 0.05,
    method: MethodFlag = DEFAULT,
    seeds: SeedsFlag = "0",
    lowest: Annotated[float, typer.Option(help="Smallest density to try.")] = LOWEST,
    data: DataFlag = None,
    as_json: JsonFlag = False,
    **parameters: Any,
) -> None:
    """Find the smallest ρ within a tolerance of dense, by bisection; runs in the store are reused."""
    if method not in taking("density"):
        raise ConfigError("method", method, f"one of {', '.join(taking('density'))}")
    options = options_of(executor_of, parameters)
    store, spec = build_spec(task, (method,), (lowest,), read_list("seed", seeds), parameters, data)
    chosen = executor_of(store, **options)
    with _working(f"{task}, {method}") as status, chosen:

        def on_density(density: float, cells: Sequence[Cell]) -> None:
            status.update(f"ρ = {density:g}: {_counts(cells)}")

        try:
            found = Bisection(store, chosen, spec, tolerance).find(lowest, on_density)
        except NoBaseline as error:
            refuse(str(error), FAILED)
    table = Table("ρ", f"test {found.metric}", "within", "runs", box=None)
    for row in sorted(found.evaluated, key=lambda row: row.density):
        mean = "" if row.test is None else f"{row.test:.4f}"
        table.add_row(f"{row.density:g}", mean, "yes" if row.within else "no", " ".join(row.runs))
    answer({"task": task, "method": method, "tolerance": tolerance} | asdict(found), as_json, table)
    if not as_json:
        show(f"smallest ρ {found.density:g}: dense {found.dense:.4f}, tolerance up to {found.bound:.4f}")


@app.command()
@with_parameters(
    without=(*GRID, "data", "layer_densities", "schedule", "schedule_start", "schedule_steps", "batch"),
    of=executor_of,
)
def search(
    task: TaskArgument,
    trials: Annotated[int, typer.Option(min=1, help="Number of trials; uniform densities come first.")] = 30,
    seeds: SeedsFlag = "0",
    sampler_seed: Annotated[int, typer.Option(min=0, help="Seed of the sampler.")] = 0,
    data: DataFlag = None,
    as_json: JsonFlag = False,
    **parameters: Any,
) -> None:
    """Search per-layer densities with Optuna for a good metric and few weights; prints the Pareto front.

    All layers are pruned here, including the first and the last. Optuna cannot prune multi-objective
    studies, so a run is stopped early if, after a quarter of its steps, it is a fifth worse than a run
    that keeps at most as many weights was at that step.
    """
    options = options_of(executor_of, parameters)
    searched = taking("layer_densities")[:1]
    store, spec = build_spec(task, searched, (1.0,), read_list("seed", seeds), parameters, data)
    chosen = executor_of(store, **options)
    import optuna  # takes a second: after the checks

    from sparsecore.runs.sweeps.layer_search import LayerSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    together = options["workers"] or usable_cores()
    with _working(f"{task}, {trials} trials") as status, chosen:
        found = LayerSearch(store, chosen, spec, sampler_seed)
        found.run(trials, together, lambda n, cells: status.update(f"trial {n + 1}: {_counts(cells)}"))
    _print_search(found, as_json)


def _print_search(found: LayerSearch, as_json: bool) -> None:
    front = found.front()
    value = {
        "task": found.spec.task,
        "metric": found.metric,
        "layers": found.sizes,
        "trials": [trial.summary() for trial in found.trials],
        "front": [trial.number for trial in front],
    }
    table = Table("trial", "kept", f"test {found.metric}", "densities", "", box=None)
    for trial in front:
        densities = "  ".join(f"{name} {density:g}" for name, density in trial.densities.items())
        table.add_row(
            str(trial.number),
            f"{trial.kept:,}",
            f"{trial.test:.4f}",
            densities,
            "uniform" if trial.uniform else "",
        )
    answer(value, as_json, table)


@contextmanager
def _working(what: str) -> Iterator[Status]:
    """Show what trains, in a line on standard error; Ctrl-C saves all training and ends with code 1."""
    try:
        with messages.status(what) as status:
            yield status
    except KeyboardInterrupt:
        messages.print("Stopped: results so far are saved. Run the same command to continue.")
        raise typer.Exit(FAILED) from None


def _counts(cells: Sequence[Cell]) -> str:
    return "  ".join(
        f"seed {cell.config.seed} {cell.status}" + (f" {cell.run.step:,}" if cell.run else "")
        for cell in cells
    )
