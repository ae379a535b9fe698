"""`python -m sparsecore bench …`: each prints ratios that were measured side by side in one run."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from sparsecore.terminal import JsonFlag, print_figures, refuse

app = typer.Typer(help=__doc__, no_args_is_help=True, rich_markup_mode=None)


@app.command()
def projection(
    weights: Annotated[
        float | None, typer.Option(help="One projection of so many weights, such as 7e9, and its memory.")
    ] = None,
    dtype: Annotated[
        Literal["float32", "float64", "bfloat16", "float16"], typer.Option(help="Of the weights.")
    ] = "float32",
    processes: Annotated[
        int, typer.Option(min=1, help="With --weights: so many processes, each with a shard of them.")
    ] = 1,
    as_json: JsonFlag = False,
) -> None:
    """The exact projection beside other ways to find the largest weights; about four minutes."""
    if weights is None:
        if processes > 1:
            refuse("--processes shares the weights of --weights; give both.")
        from sparsecore.bench.projection import projection as measure

        return print_figures(measure(dtype), as_json)
    if not 1 <= weights <= 1e12:
        refuse(f"--weights must be from 1 to 1e12; got {weights:g}.")
    from sparsecore.bench.many_weights import project_many

    return print_figures(project_many(int(weights), dtype, processes), as_json)


@app.command()
def step(as_json: JsonFlag = False) -> None:
    """A training step: dense, projected and frozen; about two minutes."""
    from sparsecore.bench.step import step as measure

    print_figures(measure(), as_json)


@app.command()
def watching(
    size: Annotated[Literal["demo", "paper"], typer.Option(help="Of the network that trains.")] = "paper",
    as_json: JsonFlag = False,
) -> None:
    """What a viewer of every frame costs training; about two minutes."""
    from sparsecore.bench.watching import watching as measure

    print_figures(measure(size), as_json)
