"""What a run leaves for other programs, from the command line and by a process of its own; its script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load
from typer.testing import CliRunner

from sparsecore.__main__ import app
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import decode
from sparsecore.runs.files import weight_files
from sparsecore.runs.files.script import NoScript, run_script
from sparsecore.runs.files.weight_files import NotFinished, OutputsDiffer, write_weight_files
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 120
TASKS = ("sinc", "spirals", "vulnerabilities")
FORMS = ("dense", "csr", "bitmask", "safetensors", "onnx")


def trained(store: Store, *commands: tuple[str, dict], **config) -> str:
    given = {"max_steps": 60, "theta": 0.0, "density": 0.4} | config
    run = store.create(RunConfig.parse(given), worker="w")
    for kind, values in commands:
        store.command(run, kind, values)
    Worker(store, store.get(run), "w").work()
    return run


@pytest.mark.parametrize("task", TASKS)
def test_every_form_is_written_with_its_true_size(store: Store, tmp_path: Path, task: str):
    steps = 2 if task == "vulnerabilities" else 60
    run = trained(store, task=task, max_steps=steps)
    told = []
    taken = write_weight_files(store, run, tmp_path, lambda *at: told.append(at))
    assert tuple(taken.forms) == FORMS
    for form in FORMS[1:]:
        assert (tmp_path / taken.forms[form]["file"]).stat().st_size == taken.forms[form]["bytes"]
    assert told[0] == (0, 5, "csr")
    assert told[-1] == (5, 5, "check")
    assert 0 < taken.difference < 1e-4
    found, saved = load((tmp_path / f"{run}.safetensors").read_bytes()), decode(store.checkpoint(run)[1])[0]
    weights = {name: array for name, array in saved.items() if name.startswith("model.")}
    assert {f"model.{name}" for name in found if not name.endswith(".mask")} == set(weights)
    assert all((found[name.removeprefix("model.")] == array).all() for name, array in weights.items())
    assert taken.forms["dense"]["bytes"] == sum(array.nbytes for array in weights.values())
    kept = sum(int(array.sum()) for name, array in found.items() if name.endswith(".mask"))
    counted = sum(row["nonzeros"] for row in store.get(run).result["layers"] if row["name"] != "embedding")
    assert kept == counted


def test_what_has_not_ended_is_refused_in_a_sentence(store: Store, tmp_path: Path):
    run = store.create(RunConfig())
    with pytest.raises(NotFinished, match=f"run {run} has no final weights"):
        write_weight_files(store, run, tmp_path)
    with pytest.raises(NoScript, match=f"run {run} has no result"):
        run_script(store, store.get(run))
    with pytest.raises(KeyError):
        write_weight_files(store, "nothere", tmp_path)
    assert list(tmp_path.glob("*.*")) == []


def test_a_file_that_gives_something_else_is_refused(store: Store, tmp_path: Path, monkeypatch):
    run = trained(store)
    monkeypatch.setattr(weight_files.onnx_file, "outputs", lambda model, given: np.zeros((len(given), 1)) + 5)
    with pytest.raises(OutputsDiffer, match="differs from that of the network"):
        write_weight_files(store, run, tmp_path)


def process(store: Store, **question: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-m", "sparsecore.runs.files.weight_files", str(store.home)],
        input=json.dumps(question) + "\n",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_process_that_is_left_alone_ends(store: Store, tmp_path: Path):
    assert process(store, run=trained(store), folder=str(tmp_path))[:1] in (
        [],
        [{"done": 0, "total": 5, "form": "csr"}],
    )


def test_the_commands_write_and_tell(store: Store, tmp_path: Path):
    run, call = trained(store), CliRunner().invoke
    done = call(app, ["weights", run, str(tmp_path / "new" / "folder"), "--json"])
    told = json.loads(done.stdout)
    assert tuple(told["forms"]) == FORMS
    assert (tmp_path / "new" / "folder" / told["forms"]["onnx"]["file"]).exists()
    assert "bitmask" in call(app, ["weights", run, str(tmp_path)]).stdout
    for command in ("weights", "script"):
        refused = call(app, [command, "nothere", str(tmp_path / "x")])
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "no run 'nothere'" in refused.stderr
    file = tmp_path / "run.py"
    assert call(app, ["script", run, str(file)]).exit_code == 0
    assert "already" in call(app, ["script", run, str(file)]).stderr


# -- the script -------------------------------------------------------------------------------------------

CHANGED = (("change", {"density": 0.5, "learning_rate": 0.02}), ("change", {"method": "layerwise"}))


@pytest.mark.parametrize(
    ("commands", "config"),
    [
        (CHANGED, {"task": "sinc"}),
        pytest.param((), {"task": "sinc", "schedule": "cubic", "keep_alive": 1}, marks=pytest.mark.slow),
        pytest.param((), {"task": "spirals", "mode": "latent", "seed": 4}, marks=pytest.mark.slow),
        pytest.param(
            (("change", {"freeze_at": 1}), ("stop", {})),
            {"task": "sinc", "max_steps": 10_000},
            marks=pytest.mark.slow,
        ),
        pytest.param((), {"task": "vulnerabilities", "max_steps": 3, "dropout": 0.2}, marks=pytest.mark.slow),
    ],
)
def test_the_script_gives_the_very_numbers_of_the_run(store: Store, tmp_path: Path, commands, config):
    run = trained(store, *commands, **config)
    script = tmp_path / "run.py"
    script.write_text(run_script(store, store.get(run)), encoding="utf-8")
    lines = {line for line in script.read_text().splitlines() if line.startswith(("import", "from"))}
    assert lines == {"import sparsecore as sc", "import torch"}
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    ended, metrics, recorded = done.stdout.splitlines()[-3:]
    found = store.get(run)
    assert ended == f"ended: {found.reason} after {found.step} steps"
    assert metrics == f"metrics: {found.result['metrics']}"
    assert recorded == "as recorded: True"
