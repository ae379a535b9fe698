"""A home folder and a store of their own for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sparsecore.runs.store import Store


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
