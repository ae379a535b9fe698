"""What the commands share: words for eyes on standard error, exit codes, tables on standard output."""

from __future__ import annotations

import json
import re
import sys
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.lost import COMMAND_DIED, lost_commands

FAILED, WRONG_ARGUMENTS = 1, 2
PIPED_WIDTH = 160  # a pipe has no width: no word of a table is cut for it

# What a terminal obeys instead of showing it: control characters, and signs that turn the direction of all
# that follows in the line. Half a pair is no character; writing it fails.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def seen(text: str) -> str:
    r"""Text of somebody else's with every sign that a terminal would obey spelt out.

    >>> seen("a\x1b[31m\u202eb")
    'a\\x1b[31m\\u202eb'
    """
    return OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class Terminal(Console):
    """A console to which no text gives orders; nor are names in colons emoji."""

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(seen(text), **options)


eyes = Terminal(stderr=True)
RunId = Annotated[str, typer.Argument(help="Id of a run, from `runs`.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON value on standard output.")]


def refuse(sentence: str, code: int = WRONG_ARGUMENTS) -> NoReturn:
    """Say what is wrong, and end with an exit code."""
    eyes.print(f"[red]Error:[/red] {escape(sentence)}", highlight=False)
    raise typer.Exit(code)


def the_store() -> Store:
    """The store; what a command that was killed had left in it is queued again, and told."""
    store = Store()
    for run in lost_commands(store):
        told = f"Run {run.id} was queued again: the command that trained it was killed."
        try:
            store.recover(run.id, run.worker, COMMAND_DIED)
        except StoreError as error:  # who only reads the store may do so all the same
            told = f"The command that trained run {run.id} was killed: {error}"
        eyes.print(escape(told), highlight=False)
    return store


def show(what: RenderableType) -> None:
    """Print for a reader on standard output, in a pipe as wide as it needs; texts are never markup."""
    wide = None if sys.stdout.isatty() else PIPED_WIDTH
    Terminal(file=sys.stdout, width=wide, highlight=False, markup=False).print(what)


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
            show(table)
        else:
            print(f"{name:<28} {_shown(value)}")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " to ".join(_shown(part) for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
