"""Fixtures for the real exports and for small files written by a test."""

from collections.abc import Callable
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def real_file() -> Callable[[str], Path]:
    """Return the path of a file under ../shared/data; skip the test if the file is missing."""

    def find(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.exists():
            pytest.skip(f"reading the real file {name} is not tested: {SHARED_DATA} does not hold it")
        return path

    return find


@pytest.fixture
def file_with(tmp_path: Path) -> Callable[[bytes | str], Path]:
    """Return a function that writes bytes, or a text as UTF-8, to a file with a neutral name."""

    def write(content: bytes | str) -> Path:
        path = tmp_path / "upload"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
