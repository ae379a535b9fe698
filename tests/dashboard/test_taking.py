"""The files of a run are made in a process beside the server, once for all who ask."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from safetensors.numpy import load
from streamlit.testing.v1 import AppTest

from sparsecore.dashboard import taking
from sparsecore.dashboard.runs.files import _report, _script
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker

PAGE = str(Path(__file__).parents[2] / "pages" / "runs.py")
PATIENCE_SECONDS = 120


@pytest.fixture(autouse=True)
def _nothing_is_taken_yet(served: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "_takings", {})


def trained(store: Store) -> str:
    run = store.create(RunConfig.parse({"max_steps": 40, "theta": 0.0}), worker="w")
    Worker(store, store.get(run), "w").work()
    return run


def made(store: Store, run: str) -> taking.Taking:
    found = taking.take(store, run)
    found.join(PATIENCE_SECONDS)
    assert found.is_over
    return found


def test_the_files_are_made_once_and_read_by_form(store: Store):
    run = trained(store)
    found = made(store, run)
    assert found.problem == ""
    assert (found.done, found.total) == (5, 5)
    assert taking.take(store, run) is found
    assert "fc1.weight.mask" in load(found.read("safetensors"))
    assert io.BytesIO(found.read("csr")).read(2) == b"PK"
    for form, about in found.taken["forms"].items():
        if about["file"]:
            assert len(found.read(form)) == about["bytes"]


def test_a_run_that_went_away_is_told_and_may_be_asked_for_again(store: Store):
    found = made(store, "nothere")
    assert found.problem == "the run is no longer there."
    assert made(store, "nothere") is not found


def test_the_files_of_too_many_runs_are_given_up(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(taking, "KEPT", 1)
    first = made(store, "one")
    folder = Path(first.folder.name)
    assert folder.exists()
    made(store, "two")
    assert not folder.exists()
    assert taking.taking(store, "one") is None


def test_the_page_shows_the_true_sizes(store: Store):
    run = trained(store)
    found = made(store, run)
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["lang"] = "en"
    app.run()
    app.selectbox(key="archive_run").set_value(run).run()
    assert not app.exception
    sizes = app.dataframe[-1].value
    assert list(sizes["bytes"]) == [about["bytes"] for about in found.taken["forms"].values()]
    assert next(iter(sizes["share"])) == 1.0
    labels = [button.proto.label for button in app.get("download_button")]
    assert labels[:3] == ["Whole run", "Report", "Python script"]
    assert labels[3:] == ["SciPy CSR", "Bitmask", "Weights and masks", "ONNX"]
    assert _script(run).startswith(b'"""Run ')
    assert _report(run).startswith(b"<!doctype html>")


def test_what_has_not_finished_offers_no_files(store: Store):
    run = store.create(RunConfig())
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["lang"] = "en"
    app.run()
    app.selectbox(key="archive_run").set_value(run).run()
    assert app.button(key="take_weights").disabled
    assert [button.proto.disabled for button in app.get("download_button")] == [False, True, True]
