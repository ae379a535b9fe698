"""`sweep`, `smallest` and `search` as commands: what they print, how they exit, what they refuse."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scipy.stats import t
from typer.testing import CliRunner, Result

from sparsecore.__main__ import app
from sparsecore.runs.store.store import Store

ROOT = Path(__file__).parents[2]
FAILED, WRONG = 1, 2
PATIENCE_SECONDS = 180.0  # on a busy machine a process takes long to import torch
SHORT = ("--max-steps", "25", "--theta", "0", "--workers", "1")
GRID = ("--methods", "layerwise", "--densities", "1,0.3", "--seeds", "0,1")
CELL = ["method", "density", "seed", "run", "status", "reason"]
CELL += ["train", "test", "metric", "nonzeros", "seconds", "steps"]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def sentence(result: Result) -> str:
    return " ".join(result.stderr.split())


def test_a_sweep_prints_its_cells_and_their_means_and_a_second_one_trains_nothing(home: Path, tmp_path: Path):
    table = tmp_path / "sweep.csv"
    first = call("sweep", "sinc", *GRID, *SHORT, "--json", "--csv", str(table))
    assert first.exit_code == 0, first.output
    printed = json.loads(first.stdout)
    assert printed["spec"]["densities"] == [1.0, 0.3]
    assert printed["spec"]["parameters"] == {"max_steps": 25, "theta": 0.0}
    assert [(c["method"], c["density"], c["seed"]) for c in printed["cells"]] == [
        ("dense", 1.0, 0),
        ("dense", 1.0, 1),
        ("layerwise", 0.3, 0),
        ("layerwise", 0.3, 1),
    ]
    assert all(list(cell) == CELL for cell in printed["cells"])
    assert {cell["nonzeros"] for cell in printed["cells"][2:]} == {77}
    values = [cell["test"] for cell in printed["cells"][2:]]
    row = printed["summary"][1]
    assert (row["n"], row["test"]) == (2, pytest.approx(sum(values) / 2))
    assert row["high"] - row["low"] == pytest.approx(t.ppf(0.975, 1) * abs(values[0] - values[1]))
    with table.open(encoding="utf-8") as file:
        assert [line["run"] for line in csv.DictReader(file)] == [cell["run"] for cell in printed["cells"]]
    again = call("sweep", "sinc", *GRID, *SHORT, "--json")
    assert json.loads(again.stdout) == printed


def test_a_sweep_with_a_failed_run_ends_with_code_1_and_says_which(home: Path):
    densities = ("--methods", "layerwise", "--densities", "0.3", "--layer-densities", "fc9=0.5")
    result = call("sweep", "sinc", *densities, *SHORT, "--json")
    assert result.exit_code == FAILED
    cell = json.loads(result.stdout)["cells"][0]
    assert (cell["status"], cell["test"]) == ("failed", None)
    assert "fc9" in cell["reason"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--methods", "magic"), "method must be one of dense, global, layerwise; got 'magic'."),
        (("--densities", "0.3,2"), "density must be greater than 0 and at most 1; got 2.0."),
        (("--densities", "0.3,"), "density must be greater than 0 and at most 1; got ''."),
        (("--seeds", "x"), "seed must be a whole number"),
        (("--layer-densities", "fc1"), "layer_densities must be layers and their densities"),
        (("--max-steps", "0"), "max_steps must be"),
    ],
)
def test_what_does_not_fit_is_one_sentence(home: Path, arguments: tuple[str, str], words: str):
    result = call("sweep", "sinc", *arguments)
    assert (result.exit_code, result.stdout) == (WRONG, "")
    assert words in sentence(result)
    assert not Store(home).list()


def test_without_ray_the_cluster_is_refused_with_the_reason(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # an import raises then as if it were not installed
    result = call("sweep", "sinc", "--executor", "ray")
    assert result.exit_code == WRONG
    assert "Ray is not installed: pip install -r requirements-cluster.txt." in sentence(result)


@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="Ctrl-C is sent as a signal")
def test_ctrl_c_keeps_what_was_trained_and_says_how_to_go_on(store: Store, home: Path):
    command = [
        sys.executable,
        "-m",
        "sparsecore",
        "sweep",
        "sinc",
        "--densities",
        "0.3",
        "--methods",
        "layerwise",
    ]
    command += ["--workers", "1", "--theta", "0", "--max-steps", "1000000"]
    environment = os.environ | {"SPARSECORE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not any(store.checkpoint(run.id) for run in store.list()):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            printed, said = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()  # nothing to one that has ended
    assert (process.returncode, printed) == (FAILED, "")
    assert "To continue, run the same command" in " ".join(said.split())
    assert [run.state for run in store.list()] == ["paused"]
    assert store.list()[0].worker is None


def test_the_smallest_density_is_printed_with_all_that_was_looked_at(home: Path):
    arguments = ("smallest", "sinc", "--tolerance", "5", "--lowest", "0.2", *SHORT, "--json")
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert (printed["metric"], printed["density"], printed["method"]) == ("rmse", 0.2, "layerwise")
    assert [row["within"] for row in printed["evaluated"]] == [True]
    assert len(Store(home).list()) == 2
    assert json.loads(call(*arguments).stdout) == printed


@pytest.mark.slow
def test_a_search_prints_its_trials_and_the_front(home: Path):
    result = call("search", "sinc", "--trials", "2", *SHORT, "--json")
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["layers"] == {"fc1": 16, "fc2": 256, "fc3": 16}
    assert [trial["kept"] for trial in printed["trials"]] == [144, 57]
    assert set(printed["front"]) <= {0, 1}
    run = Store(home).get(printed["trials"][1]["runs"][0])
    assert run.config.layer_densities == "fc1=0.2,fc2=0.2,fc3=0.2"
    assert run.result["nonzeros"] == run.result["budget"] == 57
