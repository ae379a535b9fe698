"""A home folder and a store of their own for every test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparsecore.runs.store import Store


@pytest.fixture(autouse=True)
def _main() -> Iterator[None]:
    """Streamlit's `AppTest` leaves its script as `__main__`, which every process spawned later would run."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that does not exist yet, and that `SPARSECORE_HOME` names."""
    folder = tmp_path / "home"
    monkeypatch.setenv("SPARSECORE_HOME", str(folder))
    return folder


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    """An empty store under `home`."""
    opened = Store(home)
    yield opened
    opened.close()
