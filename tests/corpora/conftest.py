"""Where the tests find the real exports, and small files made on the spot."""

from collections.abc import Callable
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def real_file() -> Callable[[str], Path]:
    """A function from a name under ../shared/data to its path; skips the test where the file is absent."""

    def find(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.exists():
            pytest.skip(f"reading the real file {name} is not tested: {SHARED_DATA} does not hold it")
        return path

    return find


@pytest.fixture
def file_with(tmp_path: Path) -> Callable[[bytes | str], Path]:
    """A function that puts bytes, or a text as UTF-8, into a file whose name tells nothing."""

    def write(content: bytes | str) -> Path:
        path = tmp_path / "upload"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
