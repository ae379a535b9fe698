"""The weights of a run are exported by a child process, once for all who ask; the page offers the files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from safetensors.numpy import load
from streamlit.testing.v1 import AppTest

from sparsecore.dashboard.jobs import Job
from sparsecore.dashboard.runs import files
from sparsecore.dashboard.runs.files import EXPORTS, export, read_export
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker

PAGE = str(Path(__file__).parents[3] / "pages" / "runs.py")
PATIENCE_SECONDS = 120


@pytest.fixture(autouse=True)
def _nothing_is_exported_yet(served: Store) -> None:
    EXPORTS._jobs.clear()


def trained(store: Store) -> str:
    run = store.create(RunConfig.parse({"max_steps": 40, "theta": 0.0}), worker="w")
    Worker(store, store.get(run), "w").work()
    return run


def exported(store: Store, run: str) -> Job:
    job = export(store, run)
    assert job.wait(PATIENCE_SECONDS)
    return job


def test_the_files_are_made_once_and_read_by_form(store: Store):
    run = trained(store)
    job = exported(store, run)
    assert (job.problem, job.done, job.total) == ("", 5, 5)
    assert export(store, run) is job
    assert "fc1.weight.mask" in load(read_export(job, "safetensors"))
    assert io.BytesIO(read_export(job, "csr")).read(2) == b"PK"
    for form, about in job.result()["forms"].items():
        if about["file"]:
            assert len(read_export(job, form)) == about["bytes"]


def test_a_run_that_went_away_is_the_problem(store: Store):
    assert exported(store, "nothere").problem == "the run no longer exists."


def test_the_page_shows_the_true_sizes(store: Store):
    run = trained(store)
    job = exported(store, run)
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["lang"] = "en"
    app.run()
    app.multiselect(key="archive_runs").set_value([run]).run()
    assert not app.exception
    sizes = app.dataframe[-1].value
    assert list(sizes["numbers"] + sizes["headers"]) == [
        form["bytes"] for form in job.result()["forms"].values()
    ]
    assert next(iter(sizes["share"])) == 1.0
    labels = [button.proto.label for button in app.get("download_button")]
    assert labels[:3] == ["Whole run", "Report", "Python script"]
    assert labels[3:] == ["SciPy CSR", "Bitmask", "Safetensors with masks", "ONNX"]
    assert files._script(run).startswith(b'"""Run ')
    assert files._report(run, ("en", "zh")).startswith(b"<!doctype html>")


def test_what_has_not_finished_offers_no_files(store: Store):
    run = store.create(RunConfig())
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["lang"] = "en"
    app.run()
    app.multiselect(key="archive_runs").set_value([run]).run()
    assert app.button(key="take_weights").disabled
    assert [button.proto.disabled for button in app.get("download_button")] == [False, True, True]
