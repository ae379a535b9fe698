"""A store full of finished runs: what it is filled with, and how soon its pages answer beside them."""

import json

import pytest
import torch

from sparsecore.commands.benchmarks.store import RECORDS, fill, grid, store
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.results import points

SECONDS = 1.0  # in which a page must answer


def test_the_runs_are_a_finished_sweep_with_logs_that_a_page_can_replay(home):
    torch.set_num_threads(1)
    filled = Store(home)
    sweep = stored.get(filled, fill(filled, 100))
    cells = stored.cells_of(filled, sweep.spec)
    assert {cell.status for cell in cells} == {"done", "collapsed"}
    assert len(cells) == len(points(cells)) == len(filled.list()) == 100
    for point in points(cells):
        assert (point.kept, point.weights) == (sum(e.nonzeros for e in point.layers if e.prunable), 288)
    run = cells[0].run.id
    assert [row.kind for row in filled.entries(run, ["scene", "frame"])] == ["scene", "frame"]
    records = filled.entries(run, ["record"])
    assert 0 < len(records) <= RECORDS
    assert json.loads(records[-1].payload)["metrics"]
    filled.close()


def test_ten_thousand_runs_are_a_grid_of_so_many_cells():
    assert len(grid(10_000).configs()) == 10_000


@pytest.mark.slow
def test_beside_ten_thousand_finished_runs_every_page_answers_within_a_second():
    found = store(10_000, 3, lambda *_: None)
    print(json.dumps(found, indent=1))
    assert found["runs"] == 10_000
    assert found["sweep_cells"] == 300
    for page in ("lab", "runs", "sweep", "sweep_of_all"):
        assert found[f"{page}_opened_ms"] < 1_000 * SECONDS
        assert found[f"{page}_again_ms"] < 1_000 * SECONDS
