"""Options of the commands that train: one for each parameter, and `--data` for texts."""

import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from sparsecore.commands.data import reading
from sparsecore.commands.terminal import options_of, recovered_store, refuse, with_options
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


def with_parameters(
    without: Collection[str], of: Callable[..., Any] = lambda: None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add an option for every parameter, the options of a function, and those for reading `--data`.

    without: names of options not to add. of: a function with options as keyword-only parameters, which the
        command takes with `options_of`; `open_store` takes those of `reading`.
    """

    rows = (row for row in every_parameter().values() if row.name not in without)
    kind = inspect.Parameter.KEYWORD_ONLY
    before = [inspect.Parameter(r.name, kind, default=_default(r), annotation=_option(r)) for r in rows]
    return with_options(of, reading, before=before, without=without)


def _default(row: Parameter) -> Any:
    """Return the default of an option; None where the default depends on a card."""
    return row.default if row.name in PARAMETERS and row.name != "size" else None


def _option(row: Parameter) -> Any:
    shown = _default(row) is not None
    text = WORDS[row.help_key] + (f" One of {', '.join(row.choices)}." if row.choices else "")
    return Annotated[row.kind | None, typer.Option(row.flag, help=text, show_default=shown)]


def open_store(parameters: dict[str, Any], data: Path | None) -> tuple[Store, dict[str, Any]]:
    """Open the store and save the texts of `data` in it; add their id to the other parameters.

    Raises ConfigError and CorpusError before anything is written.
    """
    parameters = dict(parameters)
    options = options_of(reading, parameters)
    RunConfig.parse(parameters if data is None else parameters | {"data": PLACEHOLDER_DATA})
    texts = None if data is None else _texts(data, options)
    if any(options.values()) and not isinstance(texts, Corpus):
        refuse("options such as --grade and --sheet are for reading a file; give it with --data.")
    _require_device(parameters.get("device") or "auto")
    store = recovered_store()
    if texts is None:
        return store, parameters
    data_id = texts.id if isinstance(texts, StoredCorpus) else save(texts, store.home / "corpora")
    return store, parameters | {"data": data_id}


def _texts(data: Path, options: dict[str, Any]) -> Corpus | StoredCorpus:
    """Read the texts of a file; if there is none, look up stored texts of this name."""
    found = None if data.exists() else lookup(str(data))
    return found or read_corpus(data, **reading(**options))


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
