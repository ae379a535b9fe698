"""The report of a run is one self-contained file in which every text is escaped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sparsecore.__main__ import app
from sparsecore.engine.config import RunConfig
from sparsecore.figures.reports.run import run_report
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker

FIGURES = {
    "sinc": {"metric", "loss", "density", "counts", "mask", "fit"},
    "spirals": {"metric", "loss", "density", "counts", "mask", "boundary"},
    "vulnerabilities": {"metric", "loss", "density"},
}


def trained(store: Store, **config) -> str:
    run = store.create(RunConfig.parse({"max_steps": 60, "theta": 0.0} | config), worker="w")
    store.command(run, "change", {"density": 0.3})
    Worker(store, store.get(run), "w").work()
    return run


@pytest.mark.parametrize("task", FIGURES)
def test_a_report_has_the_figures_of_its_task_in_both_languages(store: Store, task: str):
    run = trained(store, task=task, max_steps=3 if task == "vulnerabilities" else 60)
    page = run_report(store, store.get(run))
    for language in ("en", "zh"):
        assert set(re.findall(rf'id="{language}-(\w+)"', page)) == FIGURES[task]
    text = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert run in text
    assert "Changed after step 0" in text
    assert "第 0 步后更改" in text
    assert f"{store.get(run).result['nonzeros']:,} of a budget of" in text
    assert not re.search(r"\b(parameter|report|runs|state|figure)\.[a-z]", text)


def test_the_report_requests_nothing_from_the_network(store: Store):
    page = run_report(store, store.get(trained(store)))
    assert page.count("default-src 'none'") == 1
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?!#)', markup)


def test_name_and_note_are_escaped(store: Store):
    run = trained(store)
    catalogue.describe(store, run, name="<script>x</script>", note="</main><img src=x onerror=1>")
    page = run_report(store, store.get(run))
    assert "<script>x" not in page
    assert "<img" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "&lt;script&gt;x" in page


def test_a_queued_run_has_a_report_without_figures(store: Store):
    page = run_report(store, store.get(store.create(RunConfig())))
    assert "<figure>" not in page
    assert "Queued" in page


def test_the_report_command_does_not_overwrite_a_file(store: Store, tmp_path: Path):
    file, call = tmp_path / "run.html", CliRunner().invoke
    run = trained(store)
    assert call(app, ["report", run, str(file)]).exit_code == 0
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "already" in call(app, ["report", run, str(file)]).stderr
    assert "cannot be written" in call(app, ["report", run, str(tmp_path / "no" / "x.html")]).stderr


def test_a_report_has_the_settings_that_matter_and_names_layers_and_metrics_as_elsewhere(store: Store):
    run = store.create(RunConfig(max_steps=20, theta=0.0), worker="w")
    Worker(store, store.get(run), "w").work()
    page = run_report(store, store.get(run), ("en",))
    text = page[page.index("<body>") :]
    assert "RMSE against the true function" in text
    assert '<th scope="row">W1</th>' in text
    assert "Label smoothing" not in text
    assert "Learning rate" in text
    assert f"sinc, layer-wise, ρ 0.4 · {run}" in text
