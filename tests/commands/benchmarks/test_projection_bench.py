"""The table of `bench projection`, on few weights: every way is there, and ours alone is always exact."""

import pytest
import torch

from sparsecore.commands.benchmarks import projection as bench


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    monkeypatch.setattr(bench, "SIZES", (9_000,))
    return bench.projection(rounds=2)["rows"]


def test_every_way_is_measured_in_every_state(rows: list[dict]):
    seen = {(row["density"], row["state"], row["method"]) for row in rows}
    methods = ["w.mul_(1.0)", "ours", *bench.THRESHOLDS]
    assert seen == {(d, s, m) for d in bench.DENSITIES for s in bench.STATES for m in methods}
    assert all(row["milliseconds"] > 0 and row["rounds"] for row in rows)


def test_ours_keeps_the_budget_and_a_threshold_alone_does_not_where_values_tie(rows: list[dict]):
    assert all(row["exact"] for row in rows if row["method"] == "ours")
    tied = [row for row in rows if row["state"] == "90 % equal" and row["density"] == 0.4]
    assert not any(row["exact"] for row in tied if row["method"] in bench.THRESHOLDS)


def test_the_steady_state_is_that_of_training():
    given = bench.start(20_000, 0.02, "training", torch.float32)
    assert given.mask.sum() == 400
    assert 0 < given.moved < 0.05
    distinct = given.weights[given.weights != 0].unique().numel()
    assert distinct > 0.99 * given.weights.count_nonzero()
    assert 0.05 < (given.weights == 0).float().mean() < 0.95
