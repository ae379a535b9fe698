"""The benchmark of a training step: dense, projected, and projected by other means, on one network."""

import pytest

from sparsecore.commands.benchmarks import step as benchmark


@pytest.mark.parametrize(("method", "kept"), [("global", 13_720), ("layerwise", 238_110)])
def test_every_way_to_project_keeps_the_budget_of_lenet(
    method: str, kept: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(benchmark, "CASES", [(benchmark.LENET, method, 0.05)])
    rows = {row["step"]: row for row in benchmark.step(rounds=1)["rows"]}
    assert {"dense", "projected", *benchmark.COMPARED} <= set(rows)
    assert {row["parameters"] for row in rows.values()} == {266_610}
    assert rows.pop("dense")["kept"] == 266_610
    assert {row["kept"] for row in rows.values()} == {kept}
