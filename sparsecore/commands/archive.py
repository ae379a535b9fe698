"""Export a run as a file, or import one: `python -m sparsecore export | import`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from sparsecore.commands.terminal import FAILED, JsonFlag, RunId, refuse, show
from sparsecore.runs.files.archive import export_run, import_run
from sparsecore.runs.files.archive_file import ArchiveError
from sparsecore.runs.store.store import Store

app = typer.Typer()


@app.command()
def export(
    run: RunId,
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist yet.")],
    as_json: JsonFlag = False,
) -> None:
    """Write a run with its log and checkpoint to one file."""
    if file.exists():
        refuse(f"the file {file} already exists; choose another name.")
    if not file.absolute().parent.is_dir():
        refuse(f"there is no folder {file.absolute().parent}.")
    try:
        _write(run, file)
    except KeyError:
        refuse(f"there is no run {run!r}; list the runs with python -m sparsecore runs.")
    except ArchiveError as error:
        refuse(str(error), FAILED)
    except OSError as error:
        refuse(f"{file} cannot be written: {error.strerror or error}.", FAILED)
    size = file.stat().st_size
    if as_json:
        print(json.dumps({"run": run, "file": str(file), "bytes": size}, ensure_ascii=False))
    else:
        show(f"run        {run}\nfile       {file}   {size:,} bytes")


def _write(run: str, file: Path) -> None:
    """Write the file completely, or not at all."""
    with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".sparsecore-") as folder:
        written = Path(folder) / "run"
        with written.open("w+b") as archive:
            export_run(Store(), run, archive)
        written.rename(file)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="File written by `export` or by the Runs page.")],
    as_json: JsonFlag = False,
) -> None:
    """Import a run from a file into the store; a damaged file is rejected completely."""
    if not file.is_file():
        refuse(f"there is no file {file}.")
    try:
        with file.open("rb") as archive:
            found = import_run(Store(), archive)
    except ArchiveError as error:
        refuse(str(error), FAILED)
    except OSError as error:
        refuse(f"{file} cannot be read: {error.strerror or error}.", FAILED)
    if as_json:
        value = {"run": found.run, "new": found.new, "renamed": found.renamed, "state": found.state}
        print(json.dumps(value))
        return
    remark = "" if found.new else "   already in the store"
    if found.new and found.renamed:
        remark = "   under a new id: another run has the id in the file"
    show(f"run        {found.run}   {found.state}{remark}")
