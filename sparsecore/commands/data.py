"""Inspect and store data sets of graded texts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from sparsecore.commands.terminal import (
    FAILED,
    WRONG_ARGUMENTS,
    JsonFlag,
    answer,
    escape_controls,
    messages,
    refuse,
    with_options,
)
from sparsecore.corpora import storage
from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.grades import read_mapping
from sparsecore.corpora.inspection import Inspection
from sparsecore.corpora.inspection import inspect as inspect_file
from sparsecore.corpora.source import ReadOptions
from sparsecore.settings import corpora_folder

# Errors in the arguments; all others are errors in the file.
ARGUMENT_CODES = frozenset(
    (
        *("missing", "directory", "not_a_file", "no_text_column", "no_label_column"),
        *("bad_name", "name_taken", "no_such_name", "no_sheet", "no_header", "bad_grade"),
    )
)

app = typer.Typer(name="data", help=__doc__, no_args_is_help=True)
File = Annotated[
    Path, typer.Argument(help="Export from CNVD, CNNVD, NVD, CVE or OSV, or a table; plain, gzip or zip.")
]


def reading(
    *,
    text_column: Annotated[str | None, typer.Option(help="Text column of a table.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Grade column of a table.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet of an Excel workbook.")] = None,
    header_row: Annotated[int | None, typer.Option(min=1, help="Its row with the column names.")] = None,
    grade: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD=GRADE",
            help="Meaning of a grade: low, medium, high, critical, or none to omit its records. Repeatable.",
        ),
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="Numbers of the grades, low to critical: 0-3, 1-4, 4-1, P4-P1, …")
    ] = None,
) -> ReadOptions:
    """Return the options with which a file of texts is read. Raises CorpusError `bad_grade`."""
    grades = read_mapping(grade or (), scale)
    columns = {"text_column": text_column, "label_column": label_column}
    return ReadOptions(**columns, sheet=sheet, header_row=header_row, grades=grades)


@app.command()
@with_options(reading)
def inspect(file: File, as_json: JsonFlag = False, **options: Any) -> None:
    """Show what a file contains: format, rows, grades, skipped records, languages, lengths in characters."""
    with report_errors(), _bar(file) as progress:
        found = inspect_file(file, progress=progress, **reading(**options))
    answer(found.summary(), as_json, "\n".join(_lines(found)))


@app.command()
@with_options(reading)
def add(
    file: File,
    name: Annotated[str | None, typer.Option(help="Name of the data set. Default: the file's name.")] = None,
    as_json: JsonFlag = False,
    **options: Any,
) -> None:
    """Store the usable texts of a file, to train with `train vulnerabilities --data NAME`."""
    with report_errors(), _bar(file) as progress:
        added = storage.add(file, name, progress=progress, **reading(**options))
    lines = [f"name       {added.name}", f"id         {added.id}", *_lines(added.inspection)]
    answer(added.summary(), as_json, "\n".join(lines))


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """List the stored data sets."""
    with report_errors():
        found = storage.stored_corpora()
    value = [each.summary() for each in found]
    if not found:
        return answer(value, as_json, "No data sets yet: python -m sparsecore data add FILE")
    table = Table("name", "id", "format", "rows", *found[0].inspection.labels, box=None)
    for each in found:
        counts = (f"{count:,}" for count in each.inspection.labels.values())
        table.add_row(Text(each.name), each.id, each.inspection.format, f"{each.inspection.rows:,}", *counts)
    return answer(value, as_json, table)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name or id from `data list`.")],
    as_json: JsonFlag = False,
) -> None:
    """Remove a data set. Unfinished runs on it cannot continue."""
    with report_errors():
        removed = storage.remove(name)
        storage.delete(removed.id, corpora_folder())
    answer({"id": removed.id, "name": removed.name}, as_json, f"removed    {removed.name}")


@contextmanager
def report_errors() -> Iterator[None]:
    """Print what is wrong with a file or a name, and end with its exit code."""
    try:
        yield
    except CorpusError as error:
        refuse(str(error), WRONG_ARGUMENTS if error.code in ARGUMENT_CODES else FAILED)
    except OSError as error:
        refuse(f"The texts cannot be saved or read: {error.strerror or error}.", FAILED)


@contextmanager
def _bar(file: Path) -> Iterator[Callable[[int, int], None]]:
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), TaskProgressColumn(), DownloadColumn())
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as bar:
        shown = bar.add_task(escape_controls(file.name), total=None)
        yield lambda read, total: bar.update(shown, completed=read, total=total)


def _lines(found: Inspection) -> list[str]:
    parts = (("grades", found.labels), ("skipped", found.skipped), ("languages", found.languages))
    lines = [f"format     {found.format}", f"rows       {found.rows:,}"]
    lines += [f"{name:<10} {_counts(counts)}" for name, counts in parts]
    return [*lines, f"{'lengths':<10} {_counts(found.lengths)} characters"]


def _counts(counts: dict[str, int]) -> str:
    return " · ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
