"""What the commands share: words for eyes on standard error, exit codes, tables on standard output."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

FAILED, WRONG_ARGUMENTS = 1, 2
PIPED_WIDTH = 160  # a pipe has no width: no word of a table is cut for it

eyes = Console(stderr=True)
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON value on standard output.")]


def refuse(sentence: str) -> NoReturn:
    """Say what is wrong with the arguments, and end."""
    eyes.print(f"[red]Error:[/red] {escape(sentence)}", highlight=False)
    raise typer.Exit(WRONG_ARGUMENTS)


def print_table(table: Table | str) -> None:
    """On standard output, a table or what is said in its place; in a pipe as wide as it needs to be."""
    wide = None if sys.stdout.isatty() else PIPED_WIDTH
    Console(file=sys.stdout, width=wide).print(table)


def print_figures(figures: dict[str, Any], as_json: bool) -> None:
    """Named figures, and lists of rows as tables; or all of it as JSON."""
    if as_json:
        print(json.dumps(figures, ensure_ascii=False))
        return
    for name, value in figures.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            columns = list(dict.fromkeys(column for row in value for column in row))
            table = Table(*columns, box=None)
            for row in value:
                table.add_row(*(_shown(row.get(column)) for column in columns))
            print_table(table)
        else:
            print(f"{name:<28} {_shown(value)}")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " to ".join(_shown(part) for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
