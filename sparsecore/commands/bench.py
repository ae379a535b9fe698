"""Measure speed and memory; the figures to compare come from one run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sparsecore.commands.data import reading
from sparsecore.commands.terminal import JsonFlag, messages, print_figures, refuse, with_options
from sparsecore.corpora.reading import read_corpus
from sparsecore.engine.config import PARAMETERS
from sparsecore.settings import default_home

app = typer.Typer(name="bench", help=__doc__, no_args_is_help=True)


@app.command()
def projection(
    weights: Annotated[
        float | None,
        typer.Option(help="Time one projection of this many weights, such as 7e9, and its memory."),
    ] = None,
    dtype: Annotated[
        Literal["float32", "float64", "bfloat16", "float16"], typer.Option(help="Type of the weights.")
    ] = "float32",
    processes: Annotated[
        int, typer.Option(min=1, help="With --weights: number of processes, each with one shard.")
    ] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Time the exact projection and other ways to find the largest weights; about two minutes."""
    if weights is None:
        if processes > 1:
            refuse("--processes needs --weights.")
        from sparsecore.commands.benchmarks.projection import projection as measure

        return print_figures(measure(dtype), as_json)
    if not 1 <= weights <= 1e12:
        refuse(f"--weights must be from 1 to 1e12; got {weights:g}.")
    from sparsecore.commands.benchmarks.many_weights import project_many

    return print_figures(project_many(int(weights), dtype, processes), as_json)


@app.command()
def batch(
    models: Annotated[int, typer.Option(min=1, help="Models, trained together and one by one.")] = 16,
    size: Annotated[str, typer.Option(help="Size of the networks.")] = "paper",
    task: Annotated[str, typer.Option(help="Task.")] = PARAMETERS["task"].default,
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.")] = "auto",
    steps: Annotated[int, typer.Option(min=1, help="Steps per model.")] = 200,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; both ways take turns.")] = 5,
    as_json: JsonFlag = False,
) -> None:
    """Compare training many models as one batch with training them one by one."""
    from sparsecore.commands.benchmarks.batch import batch as measure

    try:
        found = measure(models, size, task, device, steps, rounds)
    except ValueError as error:  # no such device, or networks that do not train as one batch
        refuse(str(error))
    print_figures(found, as_json)


@app.command()
def step(as_json: JsonFlag = False) -> None:
    """Time a training step: dense, frozen, projected, and with topk and partition; about four minutes."""
    from sparsecore.commands.benchmarks.step import step as measure

    print_figures(measure(), as_json)


@app.command()
def watching(
    size: Annotated[Literal["demo", "paper"], typer.Option(help="Size of the network.")] = "paper",
    as_json: JsonFlag = False,
) -> None:
    """Measure how much a viewer of every frame slows training; about two minutes."""
    from sparsecore.commands.benchmarks.watching import watching as measure

    print_figures(measure(size), as_json)


@app.command("class")
def class_(
    viewers: Annotated[int, typer.Option(min=1, help="Viewers of one run.")] = 30,
    people: Annotated[int, typer.Option(min=2, help="People with a page and a run each.")] = 30,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of measurements, with and without viewers.")] = 10,
    window: Annotated[float, typer.Option(min=0.1, help="Seconds per measurement.")] = 3.0,
    interactions: Annotated[
        int, typer.Option(min=1, help="Interactions with pages; 5400 are one hour of a class.")
    ] = 600,
    pause: Annotated[
        float, typer.Option(min=0, help="Seconds between two interactions of one person.")
    ] = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """Simulate a class on one server: frames, pages, queue, memory, cost of viewers; about five minutes."""
    from sparsecore.commands.benchmarks.classroom import Plan
    from sparsecore.commands.benchmarks.classroom import classroom as measure

    with _bar() as progress:
        found = measure(Plan(viewers, people, pairs, window, interactions, pause), progress)
    print_figures(found, as_json)


@app.command()
def store(
    runs: Annotated[int, typer.Option(min=100, help="Finished runs in one sweep.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; each opens and reruns every page.")] = 5,
    as_json: JsonFlag = False,
) -> None:
    """Time Lab, Runs and Sweep with thousands of finished runs in the store; about two minutes."""
    from sparsecore.commands.benchmarks.store import store as measure

    with _bar() as progress:
        found = measure(runs, rounds, progress)
    print_figures(found, as_json)


@app.command()
def sweep(
    steps: Annotated[
        int, typer.Option(min=50, help="Maximum steps per run; 16000 is the full sweep.")
    ] = 2_000,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats of each way, in turns.")] = 2,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of trainings, with and without a store.")] = 8,
    as_json: JsonFlag = False,
) -> None:
    """Compare a sinc sweep with a plain script, and two workers with one; about ten minutes."""
    from sparsecore.commands.benchmarks.sweep import sweep as measure

    with _bar() as progress:
        found = measure(steps, repeats, pairs, progress)
    print_figures(found, as_json)


@app.command()
@with_options(reading)
def text(
    data: Annotated[
        Path | None, typer.Option(help="File of graded texts. Default: the generated texts.")
    ] = None,
    seeds: Annotated[
        str, typer.Option(help="Seeds, one split of the texts per seed, such as 0,1,2.")
    ] = "0,1,2",
    rows: Annotated[
        str | None, typer.Option(help="Only these rows, such as baseline,dense,layerwise-0.02.")
    ] = None,
    size: Annotated[Literal["demo", "laptop", "paper"], typer.Option(help="Size of the network.")] = "laptop",
    split: Annotated[
        Literal["random", "time"], typer.Option(help="Train/test split of the texts.")
    ] = "random",
    workers: Annotated[int, typer.Option(min=1, help="Processes, one thread each.")] = 1,
    as_json: JsonFlag = False,
    **options: Any,
) -> None:
    """Compare text networks with a linear model; about eight minutes per row and seed."""
    from sparsecore.commands.benchmarks.text import ROWS
    from sparsecore.commands.benchmarks.text import text as measure

    try:
        corpus = None if data is None else read_corpus(data, **reading(**options))
        with _bar() as progress:
            found = measure(
                corpus,
                default_home(),
                [PARAMETERS["seed"].read(seed) for seed in seeds.split(",")],
                list(ROWS) if rows is None else rows.split(","),
                progress,
                workers,
                size=size,
                split=split,
            )
    except ValueError as error:  # ConfigError and CorpusError as well
        refuse(str(error))
    print_figures(found, as_json)


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar for each part of a benchmark, on standard error."""
    shown: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages) as bar:

        def progress(what: str, done: int, total: int) -> None:
            if what not in shown:
                shown[what] = bar.add_task(what)
            bar.update(shown[what], completed=done, total=total)

        yield progress
