"""`export` and `import`: what they print, how they exit, and that a refused file changes nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sparsecore.__main__ import app
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store

ROOT = Path(__file__).parents[2]
FAILED, WRONG = 1, 2


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(result: Result) -> str:
    return " ".join(result.stderr.split())


@pytest.fixture
def run(store: Store) -> str:
    """A run that waits: nothing needs to be trained to be moved."""
    return store.create(RunConfig(density=0.3))


def test_a_run_goes_into_a_file_and_out_again(store: Store, run: str, tmp_path: Path):
    file = tmp_path / "run.zip"
    printed = json.loads(call("export", run, file, "--json").stdout)
    assert printed == {"run": run, "file": str(file), "bytes": file.stat().st_size}
    store.delete(run)
    for new in (True, False):
        printed = json.loads(call("import", file, "--json").stdout)
        assert printed == {"run": run, "new": new, "renamed": False, "state": "paused"}
    assert store.get(run).config.density == 0.3
    assert "already in the store" in call("import", file).stdout
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["run.zip"]


def test_wrong_arguments_exit_with_2_and_write_nothing(store: Store, run: str, tmp_path: Path):
    there = tmp_path / "there"
    there.write_text("mine")
    for arguments, words in (
        (("export", "nothere1", tmp_path / "new"), "there is no run 'nothere1'"),
        (("export", run, there), "already"),
        (("export", run, tmp_path / "none" / "run"), "there is no folder"),
        (("import", tmp_path / "none"), "there is no file"),
        (("import", tmp_path), "there is no file"),
    ):
        result = call(*arguments)
        assert (result.exit_code, result.stdout) == (WRONG, ""), arguments
        assert words in said(result)
    assert there.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"home", "there"}


def test_a_refused_file_is_one_sentence_and_exit_code_1(store: Store, run: str, tmp_path: Path):
    file = tmp_path / "run.zip"
    call("export", run, file)
    data = file.read_bytes()
    for broken in (data[:-1], b"junk", b"", data[:80] + b"\0" + data[81:]):
        file.write_bytes(broken)
        result = call("import", file, "--json")
        assert (result.exit_code, result.stdout) == (FAILED, "")
        assert said(result).startswith("Error: ")
        assert said(result).endswith(".")
        assert "Traceback" not in said(result)
    assert [each.id for each in store.list()] == [run]


def test_neither_command_imports_torch(home: Path):
    code = "import sys, sparsecore.commands.files, sparsecore.commands.doctor; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
