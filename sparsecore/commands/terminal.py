"""Shared by all commands: the console on standard error, exit codes, tables on standard output."""

import inspect
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable
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
PIPED_WIDTH = 160  # a pipe has no width of its own; at this one no word of a table is cut

# Characters that a terminal executes instead of displaying: control characters, and marks that change the
# direction of the text after them. A lone surrogate cannot be encoded, so that printing it would fail.
CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escape_controls(text: str) -> str:
    r"""Escape every character of a text that a terminal would execute.

    >>> escape_controls("a\x1b[31m\u202eb")
    'a\\x1b[31m\\u202eb'
    """
    return CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class Terminal(Console):
    """A console that escapes control characters and leaves names between colons as they are."""

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(escape_controls(text), **options)


messages = Terminal(stderr=True)
RunId = Annotated[str, typer.Argument(help="Id of a run, from `runs`.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON value on standard output.")]


def refuse(sentence: str, code: int = WRONG_ARGUMENTS) -> NoReturn:
    """Print an error and end the command with an exit code."""
    messages.print(f"[red]Error:[/red] {escape(sentence)}", highlight=False)
    raise typer.Exit(code)


def recovered_store() -> Store:
    """Open the store, queue the runs of killed commands again, and say so."""
    store = Store()
    for run in lost_commands(store):
        outcome = f"Run {run.id} was queued again: the command that trained it was killed."
        try:
            store.recover(run.id, run.worker, COMMAND_DIED)
        except StoreError as error:  # a command that only reads can go on
            outcome = f"The command that trained run {run.id} was killed: {error}"
        messages.print(escape(outcome), highlight=False)
    return store


def show(what: RenderableType) -> None:
    """Print a text or a table on standard output, never as markup, and wide enough in a pipe."""
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    Terminal(file=sys.stdout, width=width, highlight=False, markup=False).print(what)


def answer(value: Any, as_json: bool, shown: RenderableType) -> None:
    """Print a value as JSON, in ASCII so that every pipe takes it, or what people are shown of it."""
    if as_json:
        print(json.dumps(value))
    else:
        show(shown)


def store_with(run: str) -> Store:
    """Open the store; print an error and end the command if it does not have this run."""
    store = Store()
    if store.get(run) is None:
        refuse(f"there is no run {run!r}; list the runs with python -m sparsecore runs.")
    return store


def print_figures(figures: dict[str, Any], as_json: bool) -> None:
    """Print named figures, with lists of rows as tables, or all of them as JSON."""
    if as_json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            columns = list(dict.fromkeys(column for row in value for column in row))
            table = Table(*columns, box=None)
            for row in value:
                table.add_row(*(_format(row.get(column)) for column in columns))
            show(table)
        else:
            print(f"{name:<28} {_format(value)}")


def _format(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " to ".join(_format(part) for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def with_options(
    *functions: Callable[..., Any],
    before: Iterable[inspect.Parameter] = (),
    without: Collection[str] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put the keyword-only parameters of functions in place of a command's `**` parameter.

    before: options that follow the command's first argument. without: names of parameters not to take.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(command, eval_str=True)
        given = signature.parameters.values()
        first, *own = [p for p in given if p.kind is not inspect.Parameter.VAR_KEYWORD]
        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        added = [p for function in functions for p in _options(function) if p.name not in without]
        parameters = [first, *before, *own, *added]
        command.__signature__ = signature.replace(parameters=parameters)
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def options_of(function: Callable[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Take the options of a function out of a command's parameters."""
    return {p.name: parameters.pop(p.name) for p in _options(function) if p.name in parameters}


def _options(function: Callable[..., Any]) -> list[inspect.Parameter]:
    signature = inspect.signature(function, eval_str=True)
    return [p for p in signature.parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY]
