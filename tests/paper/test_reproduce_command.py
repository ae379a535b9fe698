"""`python -m sparsecore reproduce`: from the arguments to the report, on tiny runs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sparsecore.__main__ import app
from sparsecore.commands.benchmarks import projection
from sparsecore.paper.reproduction import load_shipped
from sparsecore.runs.store.store import Store

WRONG = 2
TINY = ("--size", "demo", "--seeds", "0", "--max-steps", "3")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["reproduce", *arguments])


def test_reproduce_trains_compares_reports_and_ships(home: Path, tmp_path: Path):
    report, folder = tmp_path / "report.html", tmp_path / "shipped"
    wanted = ("--workers", "2", "--report", str(report), "--language", "zh", "--ship", str(folder), "--json")
    done = call("3-1", *TINY, *wanted)
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert (printed["table"], printed["seeds"], len(printed["cells"])) == ("3-1", [0], 23)
    cell = next(c for c in printed["cells"] if (c["density"], c["column"]) == (0.1, "layerwise"))
    assert cell["test"]["paper"] == 0.6664
    assert cell["test"]["difference"] == pytest.approx(cell["test"]["ours"] - 0.6664)
    assert cell["test"]["verdict"] == "better"
    assert {"size", "one_run"} <= set(cell["reasons"])
    assert all(cell["why"].values())
    assert {setting["name"] for setting in printed["settings"]} >= {"range", "test_points", "rmse"}
    assert "复现" in report.read_text(encoding="utf-8")
    assert len(load_shipped("3-1", folder).trials) == len(printed["runs"]) == 22
    assert (folder / "3-1.safetensors").exists()
    assert len(Store(home).list()) == 22

    again = call("3-1", *TINY)  # nothing is left to train: it prints what is there
    assert again.exit_code == 0, again.output
    assert "0.6664" in again.stdout
    assert "What the thesis does not state" in again.stdout
    assert len(Store(home).list()) == 22


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("3-3",), "the table must be one of 3-1, 3-2, 3-4, 3-5; got '3-3'."),
        (("3-1", "--size", "laptop"), "size must be one of demo, paper for sinc; got 'laptop'."),
        (("3-1", "--seeds", "0,x"), "seed must be a whole number"),
        (("3-1", "--max-steps", "0"), "max_steps must be"),
        (("3-2", "--data", "weeks"), "table 3-2 uses no texts"),
    ],
)
def test_invalid_arguments_print_one_sentence_and_write_nothing(home: Path, arguments, words):
    done = call(*arguments)
    assert (done.exit_code, done.stdout) == (WRONG, "")
    assert words in " ".join(done.stderr.split())
    assert not home.exists()


def test_sorting_is_measured_side_by_side(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(projection.sorting, "__defaults__", (40_000, 2))
    done = call("3-5", "--json")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    ways = {row["way"]: row for row in printed["rows"]}
    assert list(ways) == ["heap sort", "heap selection", "topk and mask", "ours"]
    assert ways["ours"]["global_over_ours"] == 1
    seconds = [{way: row[scope] for way, row in ways.items()} for scope in ("global", "layerwise")]
    assert min(min(each.values()) for each in seconds) > 0
    assert printed["paper"]["global"] == 41.55
    assert printed["extrapolation"] == pytest.approx(projection._extrapolation(40_000, *seconds))
    assert printed["measured_by"].endswith("bench projection --weights 7e9 --dtype bfloat16")


def test_the_thesiss_extrapolation_follows_from_its_seconds():
    seconds = {"heap sort": 41.55, "ours": 0.0}, {"heap sort": 10.58, "ours": 0.0}
    found = projection._extrapolation(1_800_000, *seconds)
    assert found["heap_global_days"] == pytest.approx(2.95, rel=0.01)
    assert found["heap_layerwise_32_parallel_hours"] == pytest.approx(2.21, rel=0.05)


def test_sorting_prints_a_table(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(projection.sorting, "__defaults__", (20_000, 1))
    done = call("3-5")
    assert done.exit_code == 0, done.output
    assert "heap sort, thesis" in done.stdout
    assert "2.95 days" in done.stdout
