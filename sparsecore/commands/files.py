"""Files of a run: export or import it as a whole; write its weights, a script or a report."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from sparsecore.commands.terminal import FAILED, JsonFlag, RunId, answer, refuse, show, store_with
from sparsecore.runs.files.archive import export_run, import_run
from sparsecore.runs.files.archive_file import ArchiveError
from sparsecore.runs.files.script import NoScript, run_script
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored

app = typer.Typer()


@app.command()
def export(
    run: RunId,
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist yet.")],
    as_json: JsonFlag = False,
) -> None:
    """Write a run with its log and checkpoint to one file."""
    _require_new(file)
    if not file.absolute().parent.is_dir():
        refuse(f"there is no folder {file.absolute().parent}.")
    store = store_with(run)
    try:
        # Written completely, or not at all.
        with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".sparsecore-") as folder:
            written = Path(folder) / "run"
            with written.open("w+b") as archive:
                export_run(store, run, archive)
            written.rename(file)
    except ArchiveError as error:
        refuse(str(error), FAILED)
    except OSError as error:
        refuse(f"{file} cannot be written: {error.strerror or error}.", FAILED)
    size = file.stat().st_size
    shown = f"run        {run}\nfile       {file}   {size:,} bytes"
    answer({"run": run, "file": str(file), "bytes": size}, as_json, shown)


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
    value = {"run": found.run, "new": found.new, "renamed": found.renamed, "state": found.state}
    remark = "" if found.new else "   already in the store"
    if found.new and found.renamed:
        remark = "   under a new id: another run has the id in the file"
    answer(value, as_json, f"run        {found.run}   {found.state}{remark}")


@app.command()
def weights(
    run: RunId,
    folder: Annotated[Path, typer.Argument(help="Folder for the files; created if necessary.")],
    as_json: JsonFlag = False,
) -> None:
    """Export the weights and masks of a finished run: safetensors, SciPy CSR, bitmask and ONNX."""
    from sparsecore.runs.files.weight_files import write_weight_files
    from sparsecore.runs.workers.worker import one_thread

    one_thread()
    store = store_with(run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = write_weight_files(store, run, folder)
    except OSError as error:
        refuse(f"{folder} is not writable: {error.strerror or error}.", FAILED)
    table = Table("form", "weights, bytes", "vs. dense", "headers, bytes", "file", box=None)
    dense = taken.forms["dense"]["numbers"]
    for form, about in taken.forms.items():
        size, headers = about["numbers"], about["bytes"] - about["numbers"]
        table.add_row(form, f"{size:,}", f"{size / dense:.1%}", f"{headers:,}", about["file"] or "")
    answer({"run": run, "folder": str(folder)} | asdict(taken), as_json, table)
    if not as_json:
        difference = f"{taken.difference:.2g} ({taken.inputs} inputs)"
        show(f"ONNX in onnxruntime differs from PyTorch by at most {difference}.")


@app.command()
def script(
    run: RunId,
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist yet.")],
) -> None:
    """Write a Python script that repeats a finished run with the library alone and gives the same results."""
    store = store_with(run)
    _write(file, partial(run_script, store, store.get(run)))


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="Id of a run from `runs`, or of a sweep.")],
    file: Annotated[Path, typer.Argument(help="HTML file to write; it must not exist yet.")],
) -> None:
    """Write a report on a run or a sweep: one HTML file in English and Chinese that opens offline."""
    # Plotly takes half a second to import.
    from sparsecore.figures.reports.run import run_report
    from sparsecore.figures.reports.sweep import sweep_report

    sweep = stored.get(Store(), run)
    if sweep is not None:
        _write(file, partial(sweep_report, Store(), sweep))
    else:
        store = store_with(run)
        _write(file, partial(run_report, store, store.get(run)))


def _write(file: Path, make: Callable[[], str]) -> None:
    """Write the text that `make` returns to a new file."""
    _require_new(file)
    try:
        file.write_text(make(), encoding="utf-8")
    except NoScript as error:
        refuse(str(error), FAILED)
    except OSError as error:
        refuse(f"{file} cannot be written: {error.strerror or error}.", FAILED)


def _require_new(file: Path) -> None:
    if file.exists():
        refuse(f"the file {file} already exists; choose another name.")
