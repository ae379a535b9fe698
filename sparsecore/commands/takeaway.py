"""Write a run or a sweep for other programs: `python -m sparsecore weights | script | report`."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from sparsecore.commands.terminal import FAILED, JsonFlag, RunId, refuse, show
from sparsecore.runs.files.script import NoScript, run_script
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored

app = typer.Typer()


@app.command()
def weights(
    run: RunId,
    folder: Annotated[Path, typer.Argument(help="Folder for the files; created if necessary.")],
    as_json: JsonFlag = False,
) -> None:
    """Export the weights and masks of a finished run: safetensors, SciPy CSR, bitmask and ONNX."""
    from sparsecore.runs.files.weight_files import NotFinished, OutputsDiffer, write_weight_files
    from sparsecore.runs.workers.worker import one_thread

    one_thread()
    store = Store()
    _found(store, run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = write_weight_files(store, run, folder)
    except (NotFinished, OutputsDiffer) as error:
        refuse(str(error), FAILED)
    except OSError as error:
        refuse(f"{folder} is not writable: {error.strerror or error}.", FAILED)
    if as_json:
        print(json.dumps({"run": run, "folder": str(folder)} | taken.summary(), ensure_ascii=False))
        return
    table = Table("form", "bytes", "vs. dense", "file", box=None)
    dense = taken.forms["dense"]["bytes"]
    for form, about in taken.forms.items():
        share = f"{about['bytes'] / dense:.1%}"
        table.add_row(form, f"{about['bytes']:,}", share, about["file"] or "")
    show(table)
    show(
        f"ONNX in onnxruntime differs from PyTorch by at most {taken.difference:.2g} ({taken.inputs} inputs)."
    )


@app.command()
def script(
    run: RunId,
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist yet.")],
) -> None:
    """Write a Python script that repeats a finished run with the library alone and gives the same results."""
    store = Store()
    _write(file, partial(run_script, store, _found(store, run)))


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="Id of a run from `runs`, or of a sweep.")],
    file: Annotated[Path, typer.Argument(help="HTML file to write; it must not exist yet.")],
) -> None:
    """Write a report on a run or a sweep: one HTML file in English and Chinese that opens offline."""
    # Plotly takes half a second to import.
    from sparsecore.figures.reports.run import run_report
    from sparsecore.figures.reports.sweep import sweep_report

    store = Store()
    sweep = stored.get(store, run)
    if sweep is not None:
        _write(file, partial(sweep_report, store, sweep))
    else:
        _write(file, partial(run_report, store, _found(store, run)))


def _write(file: Path, make: Callable[[], str]) -> None:
    """Write the text that `make` returns to a new file."""
    if file.exists():
        refuse(f"the file {file} already exists; choose another name.")
    try:
        file.write_text(make(), encoding="utf-8")
    except NoScript as error:
        refuse(str(error), FAILED)
    except OSError as error:
        refuse(f"{file} cannot be written: {error.strerror or error}.", FAILED)


def _found(store: Store, run: str) -> Run:
    found = store.get(run)
    if found is None:
        refuse(f"there is no run {run!r}; list the runs with python -m sparsecore runs.")
    return found
