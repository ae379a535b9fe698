"""The command line: what it prints, how it exits, and that bad input is one sentence and writes nothing."""

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import update
from typer.testing import CliRunner, Result

from sparsecore.__main__ import app
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.trainer import Training
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.runs.workers import worker

ROOT = Path(__file__).parents[2]
FAILED, WRONG = 1, 2
# The keys that the issue documents; beyond them stand only those of MORE.
KEYS = {
    "run",
    "task",
    "size",
    "method",
    "density_target",
    "budget",
    "nonzeros",
    "density",
    "steps",
    "stopped",
}
KEYS |= {"metrics", "layers", "seconds"}
MORE = {"state", "detail", "config", "device", "stationarity", "frozen"}
SHORT = ["--max-steps", "25", "--theta", "0"]


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch):
    # torch takes the number of its threads once a process, and several commands share this one.
    monkeypatch.setattr(worker, "one_thread", lambda: torch.set_num_threads(1))


def call(*arguments: str) -> Result:
    """The command in this process."""
    return CliRunner().invoke(app, arguments)


def run_process(home: Path, *arguments: str) -> subprocess.CompletedProcess:
    """The command as a person starts it."""
    environment = os.environ | {"SPARSECORE_HOME": str(home), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "sparsecore", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def trained(*arguments: str) -> dict[str, Any]:
    """The object of a run that was trained."""
    result = call("train", *arguments, *SHORT, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def sentence(result: Result) -> str:
    """What was said on standard error, as one line."""
    return " ".join(result.stderr.split())


def assert_refused(result: Result, home: Path, *words: str) -> None:
    """Exit code 2, one sentence with these words on standard error, and nothing written."""
    assert result.exit_code == WRONG, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in sentence(result)
    assert not home.exists()


# -- what it prints ---------------------------------------------------------------------------------------


def test_as_a_process_standard_output_is_one_object_and_the_progress_goes_to_standard_error(home: Path):
    done = run_process(home, "train", "sinc", "--density", "0.3", *SHORT, "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert (printed["density_target"], printed["budget"], printed["nonzeros"]) == (0.3, 77, 77)
    assert printed["run"] in done.stderr
    again = run_process(home, "show", printed["run"], "--json")
    assert json.loads(again.stdout) == printed


def test_as_a_process_bad_input_is_one_sentence_and_exit_code_2(home: Path):
    done = run_process(home, "train", "sinc", "--density", "1.5")
    said = " ".join(done.stderr.split())
    assert (done.returncode, done.stdout) == (WRONG, "")
    assert said == "Error: density must be greater than 0 and at most 1; got 1.5."
    assert not home.exists()


def test_the_object_has_the_documented_keys(home: Path):
    printed = trained("sinc")
    assert printed.keys() == KEYS | MORE
    assert printed["task"] == "sinc"
    assert (printed["size"], printed["method"], printed["stopped"]) == ("demo", "layerwise", "max_steps")
    assert (printed["density"], printed["steps"]) == (102 / 256, 25)
    assert printed["seconds"] > 0
    assert printed["metrics"].keys() == {"train", "test"}
    assert printed["metrics"]["test"].keys() == {"rmse", "rmse_clean"}
    for layer in printed["layers"]:
        assert list(layer) == ["name", "shape", "prunable", "nonzeros", "density"]


def test_the_metric_of_the_spirals_is_accuracy(home: Path):
    printed = trained("spirals", "--method", "global", "--density", "0.5", "--seed", "3")
    assert printed["metrics"]["train"].keys() == printed["metrics"]["test"].keys() == {"accuracy"}
    assert 0 <= printed["metrics"]["test"]["accuracy"] <= 1
    assert printed["budget"] == sum(layer["nonzeros"] for layer in printed["layers"]) == 160
    assert printed["config"]["seed"] == 3


def test_the_metrics_of_texts_are_accuracy_and_macro_f1(home: Path):
    result = call("train", "vulnerabilities", "--max-steps", "3", "--json")
    printed = json.loads(result.stdout)
    assert printed["metrics"]["test"].keys() == {"accuracy", "macro_f1"}
    layers = {layer["name"]: layer["prunable"] for layer in printed["layers"]}
    assert not layers["embedding"]
    assert not layers["head"]
    assert layers["blocks.0.query"]


def test_a_run_is_the_same_every_time_but_for_its_name_and_its_time(home: Path):
    one, other = trained("sinc", "--seed", "4"), trained("sinc", "--seed", "4")
    assert one.pop("run") != other.pop("run")
    for printed in (one, other):
        assert printed.pop("seconds") > 0
        assert printed["stationarity"].pop("seconds") > 0
    assert one == other


def test_without_json_people_read_the_same_figures(home: Path):
    result = call("train", "sinc", *SHORT)
    assert result.exit_code == 0
    assert "non-zeros  102 of a budget of 102 (density 0.3984) after 25 steps" in result.stdout
    assert "max_steps" in result.stdout
    assert "(not pruned)" in result.stdout


def test_a_collapse_says_which_layer_and_since_when(home: Path):
    result = call("train", "sinc", "--density", "0.001", "--theta", "0")
    assert "collapsed: layer fc2 is empty from step 1" in result.stdout


def test_every_parameter_has_a_flag_and_a_help_text(home: Path):
    said = " ".join(call("train", "--help").stdout.split())
    for flag in ("--size", "--method", "--density", "--seed", "--max-steps", "--learning-rate", "--noise"):
        assert flag in said
    for flag in ("--theta", "--data", "--device", "--json"):
        assert flag in said


def test_runs_are_listed_newest_first(home: Path):
    assert json.loads(call("runs", "--json").stdout) == []
    assert "No runs yet" in call("runs").stdout
    first, second = trained("sinc"), trained("spirals")
    listed = json.loads(call("runs", "--json").stdout)
    assert [run["run"] for run in listed] == [second["run"], first["run"]]
    assert listed[1] == first
    assert len(json.loads(call("runs", "--json", "--limit", "1").stdout)) == 1
    table = call("runs").stdout
    assert first["run"] in table
    assert second["run"] in table


def test_a_queued_run_of_a_page_is_listed_too(home: Path, store: Store):
    run = store.create(RunConfig(task="spirals"))
    (listed,) = json.loads(call("runs", "--json").stdout)
    assert (listed["run"], listed["state"], listed["stopped"]) == (run, "queued", None)
    assert call("show", run).exit_code == 0


def test_show_repeats_the_object_of_train(home: Path):
    printed = trained("sinc")
    assert json.loads(call("show", printed["run"], "--json").stdout) == printed


def test_the_page_finds_the_run_with_its_frames(home: Path, store: Store):
    printed = trained("sinc")
    run = store.get(printed["run"])
    assert (run.state, run.origin) == ("ended", "cli")
    assert len(store.frames(run.id)) >= 2


def gone() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def silent(store: Store, worker: str) -> str:
    """A run whose worker was last heard of a minute ago."""
    run = store.create(RunConfig(), origin="cli", worker=worker)
    with store.engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == run).values(heartbeat=time.time() - 60))
    return run


@pytest.mark.parametrize("command", [["runs"], ["show"], ["train", "sinc", *SHORT]])
def test_the_run_of_a_command_that_was_killed_is_queued_by_the_next(
    home: Path, store: Store, command: list[str]
):
    killed, suspended = silent(store, f"cli:{gone()}"), silent(store, f"cli:{os.getpid()}")
    alive = store.create(RunConfig(), origin="cli", worker=f"cli:{gone()}")  # on another machine, it may be
    served = silent(store, "server:1")  # a server finds its own
    done = call(*command, *([killed] if command == ["show"] else []))
    assert done.exit_code == 0, done.output
    assert f"Run {killed} was queued again" in sentence(done)
    assert (store.get(killed).state, store.get(killed).worker) == ("queued", None)
    for run in (suspended, alive, served):
        assert store.get(run).state == "running"
        assert run not in sentence(done)


# -- texts from a file ------------------------------------------------------------------------------------


def table(rows: int) -> str:
    return "description,severity\n" + "".join(
        f"第{row}条漏洞描述存在缓冲区溢出,{'高' if row % 2 else '低'}\n" for row in range(rows)
    )


@pytest.mark.parametrize("packed", [False, True])
def test_it_trains_on_a_table_plain_or_gzipped(packed: bool, home: Path, tmp_path: Path):
    file = tmp_path / "texts"
    content = table(60).encode()
    file.write_bytes(gzip.compress(content) if packed else content)
    result = call("train", "vulnerabilities", "--data", str(file), "--max-steps", "2", "--json")
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["config"]["data"]) == 16


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("empty",)),
        (b"%PDF-1.7 \x00\x01\x02", ("Error:",)),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), ("Error:",)),
        (b"{}", ("Error:",)),
    ],
)
def test_a_file_of_the_wrong_kind_is_refused(content: bytes, words: tuple[str], home: Path, tmp_path: Path):
    file = tmp_path / "upload.pdf"
    file.write_bytes(content)
    assert_refused(call("train", "vulnerabilities", "--data", str(file)), home, *words)


def test_a_missing_file_is_named(home: Path, tmp_path: Path):
    result = call("train", "vulnerabilities", "--data", str(tmp_path / "missing.xml"))
    assert_refused(result, home, "missing.xml")


def test_a_folder_is_no_file(home: Path, tmp_path: Path):
    assert_refused(call("train", "vulnerabilities", "--data", str(tmp_path)), home)


def test_a_file_is_for_texts_only(home: Path, tmp_path: Path):
    file = tmp_path / "texts.csv"
    file.write_text(table(60), encoding="utf-8")
    result = call("train", "sinc", "--data", str(file))
    assert_refused(result, home, "data must be omitted: sinc uses no texts")


# -- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sinc", "--density", "1.5"], "density must be greater than 0 and at most 1; got 1.5."),
        (["sinc", "--density", "0"], "density must be greater than 0 and at most 1; got 0.0."),
        (["sinc", "--density", "nan"], "density must be greater than 0 and at most 1; got nan."),
        (["sinc", "--size", "-1"], "size must be one of demo, laptop, paper; got '-1'."),
        (["mnist"], "task must be one of sinc, spirals, vulnerabilities; got 'mnist'."),
        (["sinc", "--method", "magic"], "method must be one of dense, global, layerwise; got 'magic'."),
        (["sinc", "--noise", "-1"], "noise must be at least 0; got -1.0."),
        (["sinc", "--max-steps", "0"], "max_steps must be a whole number, at least 1"),
        (["sinc", "--device", "gpu"], "device must be auto, cpu, mps, cuda or cuda:N; got 'gpu'."),
        (["sinc", "--device", "[/red]"], "device must be auto, cpu, mps, cuda or cuda:N; got '[/red]'."),
        (["sinc", "--device", "cuda:98"], "this machine has no device cuda:98"),
        (["sinc", "--density", "much"], "Invalid value for '--density'"),
        (["sinc", "--rho", "0.1"], "No such option"),
        ([], "Missing argument"),
    ],
)
def test_a_wrong_argument_is_one_sentence_on_what_is_allowed(arguments: list[str], words: str, home: Path):
    assert_refused(call("train", *arguments), home, words)


def test_texts_are_not_kept_for_a_device_that_is_not_there(home: Path, tmp_path: Path):
    file = tmp_path / "texts.csv"
    file.write_text(table(60), encoding="utf-8")
    result = call("train", "vulnerabilities", "--data", str(file), "--device", "cuda:98")
    assert_refused(result, home, "this machine has no device cuda:98")


def test_an_unknown_run_is_refused(home: Path):
    result = call("show", "nothere", "--json")
    assert (result.exit_code, result.stdout) == (WRONG, "")
    assert "there is no run 'nothere'" in sentence(result)


def test_a_run_that_fails_exits_with_1_and_says_why(home: Path, monkeypatch: pytest.MonkeyPatch):
    def stumble(self: Training) -> None:
        raise RuntimeError("out of [memory]")

    monkeypatch.setattr(Training, "advance", stumble)
    result = call("train", "sinc", "--json")
    assert result.exit_code == FAILED
    assert "out of [memory]" in sentence(result)
    printed = json.loads(result.stdout)
    assert (printed["state"], printed["error"]) == ("failed", "RuntimeError: out of [memory]")


def test_ctrl_c_stops_the_run_and_keeps_it(home: Path, monkeypatch: pytest.MonkeyPatch):
    right = Training.advance
    pressed: list[int] = []

    def press(self: Training) -> Any:
        if self.step == 40 and not pressed:
            pressed.append(self.step)
            raise KeyboardInterrupt
        return right(self)

    monkeypatch.setattr(Training, "advance", press)
    result = call("train", "sinc", "--json")
    assert result.exit_code == 0
    assert pressed == [40]
    assert json.loads(result.stdout)["stopped"] == "stopped"
