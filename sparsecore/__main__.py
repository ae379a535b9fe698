"""The command line on the dashboard's store: train, sweep, reproduce, smallest, search, runs, show,
name, pin, delete, restore, prune, weights, script, report, evaluate, predict, export, import, doctor, data,
bench.

With `--json`, standard output is one JSON value. Everything for eyes goes to standard error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sparsecore.commands import (
    archive,
    doctor,
    reproduce,
    runs,
    search,
    sweep,
    takeaway,
    texts,
)
from sparsecore.commands import (
    data as data_command,
)
from sparsecore.commands.bench import app as bench
from sparsecore.commands.flags import DataFlag, open_store, with_parameters
from sparsecore.commands.terminal import FAILED, Commands, JsonFlag, RunId, eyes, refuse, the_store
from sparsecore.commands.terminal import show as print_
from sparsecore.corpora.corpus import CorpusError
from sparsecore.engine.config import ConfigError, RunConfig
from sparsecore.engine.training.events import Scene
from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.limits import require_fit
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.lost import name_of_this

app = typer.Typer(
    cls=Commands, help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
app.add_typer(data_command.app, name="data")
app.add_typer(bench, name="bench")
app.command()(texts.evaluate)
app.command()(texts.predict)
app.command()(sweep.sweep)
app.command()(reproduce.reproduce)
app.command()(search.smallest)
app.command()(search.search)
app.command()(runs.runs)
app.command()(runs.name)
app.command()(runs.pin)
app.command()(runs.delete)
app.command()(runs.restore)
app.command()(runs.prune)
app.command()(archive.export)
app.command("import")(archive.import_)
app.command()(takeaway.weights)
app.command()(takeaway.script)
app.command()(takeaway.report)
app.command()(doctor.doctor)


@app.command()
@with_parameters(without=("task", "data"))
def train(
    task: Annotated[str, typer.Argument(help="sinc, spirals or vulnerabilities.")],
    data: DataFlag = None,
    as_json: JsonFlag = False,
    **parameters: Any,
) -> None:
    """Train one run here and now. The dashboard shows it while it trains."""
    try:
        store, given = open_store({"task": task} | parameters, data)
        config = RunConfig.parse(given)
        require_fit(config, store.home)
    except (ConfigError, CorpusError) as error:
        refuse(str(error))
    run = _train_here(store, config)
    if run is None:
        refuse("the run was deleted while it trained.", FAILED)
    _print_run(run, as_json)
    if run.state == "failed":
        raise typer.Exit(FAILED)


def _train_here(store: Store, config: RunConfig) -> Run | None:
    """Train a new run in this process, with a progress bar; Ctrl-C stops it and keeps what it reached.

    None for one that was deleted meanwhile.
    """
    from sparsecore.runs.workers.worker import Worker, one_thread

    one_thread()
    name = name_of_this()
    run_id = store.create(config, origin="cli", worker=name)
    with _bar(f"{config.task} {run_id}", config.max_steps) as listen:
        try:
            Worker(store, store.get(run_id), name, listen=listen, complain=_complain).work()
        except KeyboardInterrupt:
            eyes.print("Stopping: the run is saved as it is.")
            store.command(run_id, "stop")
            Worker(store, store.get(run_id), name).work()
        except StoreError:
            raise  # told by whoever began the command: the store cannot be asked for the run either
        except Exception as error:  # noqa: BLE001 - the store has marked the run failed; say why, exit 1
            eyes.print(f"[red]The run failed:[/red] {escape(str(error))}", highlight=False)
    return store.get(run_id)


@contextmanager
def _bar(what: str, steps: int | None) -> Iterator[Callable[[Any], None]]:
    """A progress bar on standard error, moved by the events of the training."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=eyes) as bar:
        shown = bar.add_task(what, total=steps)

        def listen(event: Any) -> None:
            if isinstance(event, Scene):
                bar.update(shown, total=event.meta["max_steps"])
            step = getattr(event, "step", 0)
            if step % 20 == 0 or type(event).__name__ == "Ended":
                bar.update(shown, completed=step)

        yield listen


def _complain(error: StoreError) -> None:
    eyes.print(f"[yellow]Waiting:[/yellow] {escape(str(error))}", highlight=False)


@app.command()
def show(run: RunId, as_json: JsonFlag = False) -> None:
    """Repeat what a run reached."""
    found = the_store().get(run)
    if found is None:
        refuse(f"there is no run {run!r}; python -m sparsecore runs lists them.")
    _print_run(found, as_json)


def _print_run(run: Run, as_json: bool) -> None:
    if as_json:
        print(json.dumps(run.summary(), ensure_ascii=False))
        return
    config, result = run.config, run.result or {}
    lines = [
        f"run        {run.id}   {run.reason or run.state}{_why(run)}",
        *_told(run),
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
            exempt = "" if layer["prunable"] else "  (under no constraint)"
            shape = "×".join(str(side) for side in layer["shape"])
            lines.append(f"  {layer['name']:<20} {shape:>10}  {layer['density']:7.1%}{exempt}")
    print_("\n".join(lines))


def _told(run: Run) -> list[str]:
    note = (run.note or "").replace("\n", "\n           ")
    told = {"name": run.name, "note": note, "pinned": "yes" if run.pinned else None}
    return [f"{key:<10} {value}" for key, value in told.items() if value]


def _why(run: Run) -> str:
    detail = run.detail or {}
    if run.error:
        return f": {run.error}"
    if run.reason == "collapsed":
        what = f"layer {detail['layer']} is empty" if "layer" in detail else "the output ignores the input"
        return f": {what} since step {detail['step']:,}"
    if run.reason == "diverged":
        return f": the {detail['what']} stopped being finite at step {detail['step']:,}"
    return ""


if __name__ == "__main__":
    app(prog_name="python -m sparsecore")
