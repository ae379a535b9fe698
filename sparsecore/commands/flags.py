"""The flags of commands that train: one for each parameter of the table, and the texts of `--data`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from sparsecore.commands.terminal import refuse, the_store
from sparsecore.corpora.corpus import Corpus
from sparsecore.corpora.reading import read_corpus
from sparsecore.corpora.storage import StoredCorpus, lookup, save
from sparsecore.engine.cards import tasks
from sparsecore.engine.config import PARAMETERS, ConfigError, RunConfig, every_parameter
from sparsecore.engine.parameters import Parameter
from sparsecore.runs.store.store import Store
from sparsecore.words import words

WORDS = words("en")
SOME_DATA = "0" * 16  # any name of texts, for a look at the other parameters

DataFlag = Annotated[
    Path | None,
    typer.Option("--data", help="For tasks on texts: a file, or a name that `data list` gives."),
]
TaskArgument = Annotated[str, typer.Argument(help=f"One of {', '.join(tasks())}.")]


def with_parameters(without: Collection[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a flag for every parameter of the table but these, after its first argument."""

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
    """What a flag has that is left out; sizes and what cards bring have the default of a card."""
    return row.default if row.name in PARAMETERS and row.name != "size" else None


def _option(row: Parameter) -> Any:
    shown = _default(row) is not None
    about = WORDS[row.help_key] + (f" One of {', '.join(row.choices)}." if row.choices else "")
    return Annotated[row.kind | None, typer.Option(row.flag, help=about, show_default=shown)]


def open_store(parameters: dict[str, Any], data: Path | None) -> tuple[Store, dict[str, Any]]:
    """The store, and the parameters with the id of the texts of `data`, which are kept in it from now on.

    Raises ConfigError and CorpusError before anything is written.
    """
    RunConfig.parse(parameters if data is None else parameters | {"data": SOME_DATA})
    texts = None if data is None else _texts(data)
    _require_device(parameters.get("device") or "auto")
    store = the_store()
    if texts is None:
        return store, parameters
    data_id = texts.id if isinstance(texts, StoredCorpus) else save(texts, store.home / "corpora")
    return store, parameters | {"data": data_id}


def _texts(data: Path) -> Corpus | StoredCorpus:
    """The texts of a file, or those kept under a name; a file comes first."""
    found = None if data.exists() else lookup(str(data))
    return found or read_corpus(data)


def _require_device(name: str) -> None:
    from sparsecore.engine.devices import resolve_device  # imports torch: not before the arguments are right

    try:
        resolve_device(name)
    except ValueError as error:
        refuse(str(error))


def read_list(name: str, text: str) -> tuple[Any, ...]:
    """The values of a parameter that a flag lists between commas; raises ConfigError."""
    values = tuple(PARAMETERS[name].read(part.strip()) for part in text.split(","))
    for value in values:
        choices = PARAMETERS[name].choices
        if choices and value not in choices:
            raise ConfigError(name, value, PARAMETERS[name].allowed)
    return values
