"""The environment variables: read one by one, refused in a sentence, and handed to child processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparsecore.settings import (
    PREFIX,
    SettingError,
    Settings,
    child_environment,
    default_home,
    read_setting,
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
        ("store", "postgresql://ann@db/lab", "postgresql://ann@db/lab"),
        ("max_memory", "1.5 GiB", 3 * 2**29),
        ("max_disk", "2GB", 2_000_000_000),
        ("max_steps", "500", 500),
        ("max_viewers", "7", 7),
        ("teacher_password", " open sesame ", " open sesame "),
        ("extensions", os.pathsep.join(["/a", "", "b"]), (Path("/a"), Path("b"))),
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
