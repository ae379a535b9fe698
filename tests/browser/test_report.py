"""The report in a browser that is offline: it draws, and asks nobody for anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparsecore.figures.reports.paper import paper_report
from sparsecore.paper.pictures import figures_of
from sparsecore.paper.plan import TablePlan
from sparsecore.paper.reproduction import load_pictures, load_reproduction
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker

pytestmark = pytest.mark.browser

PATIENCE_SECONDS = 120  # ten figures and five megabytes of script on busy cores without a graphics card


@pytest.fixture
def path(store: Store, tmp_path: Path) -> Path:
    """A report whose figures are there, of a table that is mostly still to be run."""
    plan = TablePlan("3-1", (0,), "demo", parameters={"max_steps": 3})
    configs = [plan.config_of(run) for figure in figures_of("3-1") for run in figure.runs]
    for config in {config.digest(): config for config in configs}.values():
        run = store.create(config, worker="test")
        Worker(store, store.get(run), "test").work()
    written = tmp_path / "report.html"
    written.write_text(
        paper_report(load_reproduction(store, plan), load_pictures(store, plan)),
        encoding="utf-8",
    )
    return written


def test_it_draws_offline_without_a_single_request(path: Path, draws_offline):
    draws_offline(path, "#zh-3-5", PATIENCE_SECONDS)
