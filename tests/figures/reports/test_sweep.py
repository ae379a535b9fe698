"""The report of a sweep is one self-contained file in which every text is escaped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sparsecore.__main__ import app
from sparsecore.figures.reports.sweep import sweep_report
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.results import interval
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.runs.workers.worker import Worker

SPEC = SweepSpec(
    task="sinc",
    densities=(1.0, 0.3),
    seeds=(0, 1),
    parameters={"max_steps": 30, "theta": 0.0, "learning_rate": 0.02},
)
FIGURES = {"metric", "layers_global", "layers_layerwise", "seconds", "weights"}


@pytest.fixture
def sweep(store: Store) -> stored.Sweep:
    """A small sweep in which all runs but one are trained."""
    begun = stored.begin(store, SPEC)
    for run in store.list()[1:]:
        store.claim(run.id, "w")
        Worker(store, store.get(run.id), "w").work()
    return stored.get(store, begun)


def markup(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_the_report_has_all_figures_and_runs_in_both_languages(store: Store, sweep: stored.Sweep):
    page = sweep_report(store, sweep)
    for language in ("en", "zh"):
        assert set(re.findall(rf'id="{language}-([\w-]+)"', page)) == FIGURES
    text = markup(page)
    assert sweep.id in text
    assert "5 finished, 0 of them collapsed, 0 failed, 1 unfinished" in text
    assert "Learning rate" in text
    assert all(f"<bdi>{run.id}</bdi>" in text for run in store.list() if run.state == "ended")
    assert not re.search(r"\b(parameter|report|runs|state|figure|sweep)\.[a-z]", text)


def test_means_have_students_t_interval(store: Store, sweep: stored.Sweep):
    cells = stored.cells_of(store, SPEC)
    dense = [cell.metric[2] for cell in cells if cell.config.method == "dense"]
    mean, low, high = interval(dense)
    row = f"<td><bdi>{mean:.6g}</bdi></td><td><bdi>{low:.6g} – {high:.6g}</bdi></td>"
    assert sweep_report(store, sweep, ("en",)).count(row) == 1


def test_a_run_name_is_escaped(store: Store, sweep: stored.Sweep):
    catalogue.describe(store, store.list()[-1].id, name="</td></main><img src=x onerror=alert(1)>", note=None)
    text = markup(sweep_report(store, sweep))
    assert "<img" not in text
    assert text.count("&lt;/td&gt;&lt;/main&gt;&lt;img") == 2


def test_a_sweep_without_runs_shows_the_printed_results(store: Store):
    page = sweep_report(store, stored.get(store, stored.begin(store, SPEC)), ("en",))
    assert re.findall(r'id="en-([\w-]+)"', page) == ["metric"]
    assert "0 finished" in markup(page)


def test_the_report_command_accepts_sweeps_and_runs(store: Store, sweep: stored.Sweep, tmp_path: Path):
    call = CliRunner().invoke
    for taken in (sweep.id, store.list()[-1].id):
        file = tmp_path / f"{taken}.html"
        assert call(app, ["report", taken, str(file)]).exit_code == 0
        assert re.search(rf"<title>[^<]*{taken} · sparsecore</title>", file.read_text(encoding="utf-8"))
    assert "already" in call(app, ["report", sweep.id, str(file)]).stderr
    assert "no run 'nosuch'" in call(app, ["report", "nosuch", str(tmp_path / "x.html")]).stderr
