"""The environment variables: read one by one, refused in a sentence, and handed to child processes."""

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sparsecore import settings
from sparsecore.settings import (
    PREFIX,
    SettingError,
    Settings,
    child_environment,
    default_home,
    read_setting,
    usable_cores,
    variable,
)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def test_an_unset_and_an_empty_variable_have_the_default(monkeypatch: pytest.MonkeyPatch):
    assert read_setting("max_queued") == 10
    monkeypatch.setenv("SPARSECORE_MAX_QUEUED", "")
    assert read_setting("max_queued") == 10


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("home", "/data/runs", Path("/data/runs")),
        ("home", "~/runs", Path.home() / "runs"),
        ("home", "runs", Path("runs").absolute()),
        ("store", "postgresql://ann@db/lab", "postgresql://ann@db/lab"),
        ("max_memory", "1.5 GiB", 3 * 2**29),
        ("max_disk", "2GB", 2_000_000_000),
        ("max_steps", "500", 500),
        ("max_viewers", "7", 7),
        ("teacher_password", " open sesame ", " open sesame "),
        ("extensions", os.pathsep.join(["/a", "", "b"]), (Path("/a"), Path("b").absolute())),
    ],
)
def test_a_variable_is_read_as_its_type(
    name: str, given: str, value: object, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(variable(name), given)
    assert read_setting(name) == value


@pytest.mark.parametrize("given", ["0", "-1", "ten", "1.5"])
def test_a_wrong_value_is_refused_in_one_sentence(given: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARSECORE_MAX_STEPS", given)
    with pytest.raises(SettingError) as refused:
        read_setting("max_steps")
    assert str(refused.value) == f"SPARSECORE_MAX_STEPS must be a whole number from 1, got {given!r}."


def test_a_home_of_an_unknown_user_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARSECORE_HOME", "~nobody-of-this-name/runs")
    with pytest.raises(SettingError, match="must be a folder that exists or can be created, got '~nobody"):
        default_home()


def test_a_user_without_a_home_directory_has_a_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # raises KeyError, as for an unknown user
    monkeypatch.setattr(settings.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = default_home()
    assert (folder.parent, stat.S_IMODE(folder.stat().st_mode)) == (tmp_path, 0o700)
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(SettingError, match="SPARSECORE_HOME must be set for a user without a home"):
        default_home()


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "250000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"user.slice/cpu.max": "300000 100000", "cpu.max": "400000 100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
    ],
)
def test_a_quota_limits_the_usable_cores(
    files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    own = tmp_path / "own"
    own.write_text("0::/user.slice/session.scope\n")
    monkeypatch.setattr(settings, "CGROUPS", tmp_path)
    monkeypatch.setattr(settings, "OWN_CGROUP", own)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert usable_cores() == cores


def test_a_wrong_value_does_not_matter_to_another_setting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARSECORE_MAX_STEPS", "many")
    assert read_setting("max_disk") is None


def test_every_setting_is_described_and_no_variable_is_read_elsewhere():
    assert all(field.description for field in Settings.model_fields.values())
    sources = Path(__file__).parents[1].glob("sparsecore/**/*.py")
    readers = [path.name for path in sources if f'environ.get("{PREFIX}' in path.read_text(encoding="utf-8")]
    assert readers == []


def test_a_child_finds_the_package_and_the_runs_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SPARSECORE_MAX_STEPS", "500")
    code = (
        "from sparsecore.settings import default_home, read_setting as read; "
        "print(default_home(), read('store'), read('max_steps'))"
    )
    environment = child_environment(tmp_path / "home", "postgresql://ann@db/lab")
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(tmp_path / "home"), "postgresql://ann@db/lab", "500"], done.stderr
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "1"


def test_a_child_does_not_use_the_database_of_the_environment_for_a_store_in_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SPARSECORE_STORE", "postgresql://ann@db/lab")
    assert child_environment(tmp_path, "")["SPARSECORE_STORE"] == ""
    assert child_environment(tmp_path)["SPARSECORE_STORE"] == "postgresql://ann@db/lab"


def test_the_default_home_is_not_named_to_a_child():
    assert "SPARSECORE_HOME" not in child_environment(default_home(), "")
