"""What the commands share: exit codes, the two streams, and how a refusal looks."""

import sys
from typing import Annotated, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.markup import escape

FAILED, WRONG_ARGUMENTS = 1, 2
PIPED_WIDTH = 160  # a pipe has no width: no word of a table is cut for it

eyes = Console(stderr=True)
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON value on standard output.")]


def refuse(sentence: str, code: int = WRONG_ARGUMENTS) -> NoReturn:
    """Say what was wrong and end with an exit code."""
    eyes.print(f"[red]Error:[/red] {escape(sentence)}", highlight=False)
    raise typer.Exit(code)


def show(what: RenderableType) -> None:
    """Print for a reader on standard output; texts in it are never taken for markup."""
    wide = None if sys.stdout.isatty() else PIPED_WIDTH
    Console(file=sys.stdout, width=wide, highlight=False, markup=False).print(what)
