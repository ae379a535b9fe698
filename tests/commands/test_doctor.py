"""The doctor: a fit machine is called fit, and each part that is really broken is found and named."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sqlalchemy import update
from typer.testing import CliRunner

from sparsecore.__main__ import app
from sparsecore.commands import doctor_checks as checks
from sparsecore.commands.doctor import CHECKS
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.events import Checkpoint
from sparsecore.runs.store.disk import usage as taken
from sparsecore.runs.store.saved_state import StateFiles
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.runs.workers import worker
from sparsecore.settings import size_text

ROOT = Path(__file__).parents[2]
FAILED = 1


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch):
    # torch takes the number of its threads once a process, and several tests share this one.
    monkeypatch.setattr(worker, "one_thread", lambda: torch.set_num_threads(1))


def unwritable(tmp_path: Path) -> Path:
    """A folder in which nothing can be made, by root neither."""
    if os.geteuid() == 0:
        return Path("/proc")
    tmp_path.chmod(0o500)
    return tmp_path


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the program reads beside its code, which the checks take for their own."""
    root = tmp_path / "copy"
    root.mkdir()
    shutil.copytree(ROOT / "assets", root / "assets")
    shutil.copytree(ROOT / ".streamlit", root / ".streamlit")
    shutil.copy(ROOT / "requirements.txt", root)
    monkeypatch.setattr(checks, "ROOT", root)
    monkeypatch.setattr(checks, "ASSETS", root / "assets")
    return root


# -- the whole --------------------------------------------------------------------------------------------


@pytest.mark.dialect
@pytest.mark.usefixtures("either_database")
def test_a_fit_machine_is_fit_and_keeps_nothing_of_the_trial(home: Path):
    result = CliRunner().invoke(app, ["doctor", "--json"])
    printed = json.loads(result.stdout)
    assert result.exit_code == 0, printed
    assert printed["fit"] is True
    assert [check["name"] for check in printed["checks"]] == list(CHECKS)
    for check in printed["checks"]:
        assert check["verdict"] in ("ok", "warning"), check
        assert bool(check["advice"]) == (check["verdict"] == "warning")
    store = Store()
    assert store.list() == []
    store.close()


def test_a_home_that_cannot_be_written_to_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SPARSECORE_HOME", str(unwritable(tmp_path) / "home"))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == FAILED
    assert "Traceback" not in result.output
    assert "This machine is not ready" in result.stdout
    verdicts = {line.split()[1]: line.split()[0] for line in result.stdout.splitlines() if line[:1].strip()}
    assert (verdicts["python"], verdicts["home"], verdicts["train"]) == ("ok", "failed", "failed")
    assert "set SPARSECORE_HOME to a writable folder" in result.stdout


# -- what is installed ------------------------------------------------------------------------------------


def test_a_missing_and_an_empty_asset_are_named(copy: Path):
    assert checks.assets().verdict == "ok"
    (copy / "assets" / "views" / "shared" / "charts.js").unlink()
    (copy / "assets" / "page.css").write_text("")
    found = checks.assets()
    assert found.verdict == "failed"
    assert "page.css, views/shared/charts.js" in found.found


def test_a_word_that_one_language_lacks_is_named(copy: Path):
    path = copy / "assets" / "words" / "zh.json"
    words = json.loads(path.read_text(encoding="utf-8"))
    del words["runs.title"]
    path.write_text(json.dumps(words), encoding="utf-8")
    assert checks.assets().verdict == "failed"
    assert "runs.title" in checks.assets().found


def test_another_version_is_a_warning_and_a_missing_package_a_failure(copy: Path):
    assert "as pinned" in checks.packages().found
    listed = copy / "requirements.txt"
    listed.write_text(listed.read_text().replace("rich==", "rich==0."))
    assert (checks.packages().verdict, "rich" in checks.packages().found) == ("warning", True)
    listed.write_text("no-such-package-here==1.0\n")
    assert (checks.packages().verdict, checks.packages().advice) == ("failed", checks.FROM_PIP)


def test_plotlys_script_is_looked_for_where_it_is_imported_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert checks.plotly().verdict == "ok"
    (tmp_path / "plotly").mkdir()
    (tmp_path / "plotly" / "__init__.py").write_text("")
    code = "from sparsecore.commands.doctor_checks import plotly; print(plotly().verdict)"
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "failed", done.stderr


def test_a_port_that_is_taken_is_a_warning(monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        number = taken.getsockname()[1]
        monkeypatch.setenv("STREAMLIT_SERVER_PORT", str(number))
        assert (checks.port().verdict, str(number) in checks.port().found) == ("warning", True)
    assert checks.port().verdict == "ok"


# -- where runs are kept ----------------------------------------------------------------------------------


def test_every_setting_is_listed_without_the_secret_ones(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARSECORE_TEACHER_PASSWORD", "open sesame")
    monkeypatch.setenv("SPARSECORE_MAX_DISK", "2GB")
    found = checks.settings()
    assert found.verdict == "ok"
    assert f"SPARSECORE_HOME = {home}" in found.found
    assert "SPARSECORE_MAX_DISK = 2GB" in found.found
    assert "SPARSECORE_TEACHER_PASSWORD = (set)" in found.found
    assert "SPARSECORE_MAX_STEPS not set: " in found.found


def test_a_setting_with_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARSECORE_MAX_VIEWERS", "many")
    found = checks.settings()
    assert (found.verdict, found.advice != "") == ("failed", True)
    assert found.found == "SPARSECORE_MAX_VIEWERS must be a whole number from 1, got 'many'."


def test_a_full_quota_is_found(home: Path):
    code = "from sparsecore.commands.doctor_checks import home; f = home(); print(f.verdict, f.found)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.stdout.startswith("failed"), done.stderr
    assert "is not writable" in done.stdout


def test_a_store_that_cannot_grow_is_found(home: Path, store: Store):
    store.create(RunConfig())
    code = (
        "from sparsecore.commands.doctor_checks import store\n"
        "found = store(); print(found.verdict, found.found, found.advice)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000)),
    )
    assert done.stdout.startswith("failed"), done.stdout + done.stderr
    assert "free disk space" in done.stdout


def test_a_damaged_store_is_found(home: Path):
    store = Store()
    for _ in range(200):
        store.create(RunConfig())
    store.close()
    file = home / "store.sqlite3"
    assert checks.store().verdict == "ok"
    data = bytearray(file.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    file.write_bytes(data)
    found = checks.store()
    assert found.verdict == "failed"
    assert "move" in found.advice


def test_the_store_is_as_large_as_make_room_tells(home: Path):
    store = Store()
    run = store.create(RunConfig(), worker="w")
    StateFiles(store, run).write(Checkpoint(1, {"x": np.zeros(40 * 2**20, np.uint8)}, {}))
    found, size = checks.store().found, taken(store).used
    assert size > 40 * 2**20
    assert f"1 runs, {size_text(size)}" in found


def test_a_file_that_is_no_store_is_found(home: Path):
    home.mkdir()
    (home / "store.sqlite3").write_bytes(b"no database at all" * 999)
    assert (checks.store().verdict, "not a database" in checks.store().found) == ("failed", True)


@pytest.mark.usefixtures("psycopg")
def test_a_database_that_does_not_answer_is_found_without_its_password(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SPARSECORE_STORE", "postgresql://ann:secret@127.0.0.1:9/lab")
    found = checks.store()
    assert (found.verdict, "SPARSECORE_STORE" in found.advice) == ("failed", True)
    assert "secret" not in found.found


@pytest.mark.usefixtures("either_database")
def test_a_run_of_the_future_says_that_the_clock_was_set_back(store: Store):
    assert checks.clock().verdict == "ok"
    run = store.create(RunConfig())
    with store.engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == run).values(created=time.time() + 3600))
    assert (checks.clock().verdict, "correct it" in checks.clock().advice) == ("warning", True)


# -- what computes ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_code_that_cannot_be_kept_is_a_warning(tmp_path: Path, home: Path):
    folder = str(unwritable(tmp_path) / "numba")
    code = (
        "from sparsecore.commands.doctor_checks import compiled; f = compiled(); print(f.verdict, f.advice)"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": folder}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout.startswith("warning"), done.stderr
    assert "NUMBA_CACHE_DIR" in done.stdout
