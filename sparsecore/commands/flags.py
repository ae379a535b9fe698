"""Options of the commands that train: one for each parameter, and `--data` for texts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from sparsecore.commands.terminal import recovered_store, refuse
from sparsecore.corpora.corpus import Corpus
from sparsecore.corpora.reading import read_corpus
from sparsecore.corpora.storage import StoredCorpus, lookup, save
from sparsecore.engine.cards import tasks
from sparsecore.engine.config import PARAMETERS, ConfigError, RunConfig, every_parameter
from sparsecore.engine.parameters import Parameter
from sparsecore.runs.store.store import Store
from sparsecore.words import words

WORDS = words("en")
PLACEHOLDER_DATA = "0" * 16  # a valid id of texts, to check the other parameters before the file is read

DataFlag = Annotated[
    Path | None,
    typer.Option("--data", help="For tasks on texts: a file, or a name from `data list`."),
]
TaskArgument = Annotated[str, typer.Argument(help=f"One of {', '.join(tasks())}.")]


def with_parameters(without: Collection[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add an option for every parameter except those in `without`, after the command's first argument."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        keyword = inspect.Parameter.KEYWORD_ONLY
        given = signature.parameters.values()
        first, *own = [p for p in given if p.kind is not inspect.Parameter.VAR_KEYWORD]
        flags = [
            inspect.Parameter(row.name, keyword, default=_default(row), annotation=_option(row))
            for row in every_parameter().values()
            if row.name not in without
        ]
        parameters = [first, *flags, *(p.replace(kind=keyword) for p in own)]
        command.__signature__ = signature.replace(parameters=parameters)
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def _default(row: Parameter) -> Any:
    """Return the default of an option; None where the default depends on a card."""
    return row.default if row.name in PARAMETERS and row.name != "size" else None


def _option(row: Parameter) -> Any:
    shown = _default(row) is not None
    text = WORDS[row.help_key] + (f" One of {', '.join(row.choices)}." if row.choices else "")
    return Annotated[row.kind | None, typer.Option(row.flag, help=text, show_default=shown)]


def open_store(parameters: dict[str, Any], data: Path | None) -> tuple[Store, dict[str, Any]]:
    """Open the store and save the texts of `data` in it; add their id to the parameters.

    Raises ConfigError and CorpusError before anything is written.
    """
    RunConfig.parse(parameters if data is None else parameters | {"data": PLACEHOLDER_DATA})
    texts = None if data is None else _texts(data)
    _require_device(parameters.get("device") or "auto")
    store = recovered_store()
    if texts is None:
        return store, parameters
    data_id = texts.id if isinstance(texts, StoredCorpus) else save(texts, store.home / "corpora")
    return store, parameters | {"data": data_id}


def _texts(data: Path) -> Corpus | StoredCorpus:
    """Read the texts of a file; if there is none, look up stored texts of this name."""
    found = None if data.exists() else lookup(str(data))
    return found or read_corpus(data)


def _require_device(name: str) -> None:
    from sparsecore.engine.devices import resolve_device  # imports torch: after the other checks

    try:
        resolve_device(name)
    except ValueError as error:
        refuse(str(error))


def read_list(name: str, text: str) -> tuple[Any, ...]:
    """Parse a comma-separated list of a parameter's values. Raises ConfigError."""
    values = tuple(PARAMETERS[name].read(part.strip()) for part in text.split(","))
    for value in values:
        choices = PARAMETERS[name].choices
        if choices and value not in choices:
            raise ConfigError(name, value, PARAMETERS[name].allowed)
    return values
