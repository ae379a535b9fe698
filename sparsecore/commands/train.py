"""Train one run in this process: `python -m sparsecore train`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sparsecore.commands.flags import DataFlag, TaskArgument, open_store, with_parameters
from sparsecore.commands.runs import print_run
from sparsecore.commands.terminal import FAILED, JsonFlag, messages, refuse
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.events import Scene
from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.limits import require_fit
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.lost import command_name

app = typer.Typer()


@app.command()
@with_parameters(without=("task", "data"))
def train(
    task: TaskArgument,
    data: DataFlag = None,
    as_json: JsonFlag = False,
    **parameters: Any,
) -> None:
    """Train one run in this process. The dashboard shows it live."""
    store, given = open_store({"task": task} | parameters, data)
    config = RunConfig.parse(given)
    require_fit(config, store.home)
    run = _train_here(store, config)
    if run is None:
        refuse("the run was deleted during training.", FAILED)
    print_run(run, as_json)
    if run.state == "failed":
        raise typer.Exit(FAILED)


def _train_here(store: Store, config: RunConfig) -> Run | None:
    """Train a new run with a progress bar; Ctrl-C stops it and saves it as it is.

    Returns None for a run that was deleted meanwhile.
    """
    from sparsecore.runs.workers.worker import Worker, one_thread

    one_thread()
    name = command_name()
    run_id = store.create(config, origin="cli", worker=name)
    with _bar(f"{config.task} {run_id}", config.max_steps) as on_event:
        try:
            Worker(store, store.get(run_id), name, on_event=on_event, on_store_error=_print_waiting).work()
        except KeyboardInterrupt:
            messages.print("Stopping; the run is saved.")
            store.command(run_id, "stop")
            Worker(store, store.get(run_id), name).work()
        except StoreError:
            raise  # the program reports it; the run cannot be read either
        except Exception as error:  # noqa: BLE001 - the run is marked as failed in the store
            messages.print(f"[red]The run failed:[/red] {escape(str(error))}", highlight=False)
    return store.get(run_id)


@contextmanager
def _bar(what: str, steps: int | None) -> Iterator[Callable[[Any], None]]:
    """Show a progress bar on standard error; yield the function that takes the training's events."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages) as bar:
        shown = bar.add_task(what, total=steps)

        def on_event(event: Any) -> None:
            if isinstance(event, Scene):
                bar.update(shown, total=event.meta["max_steps"])
            step = getattr(event, "step", 0)
            if step % 20 == 0 or type(event).__name__ == "Ended":
                bar.update(shown, completed=step)

        yield on_event


def _print_waiting(error: StoreError) -> None:
    messages.print(f"[yellow]Waiting:[/yellow] {escape(str(error))}", highlight=False)
