"""A home whose token cache the tests share, and the real texts where they are."""

from pathlib import Path

import pytest

SMALL = Path(__file__).parents[4] / ".." / "shared" / "data" / "vulnerabilities_zh4_small.csv.gz"


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose token cache the tests of a file share."""
    return tmp_path_factory.mktemp("texts")


@pytest.fixture(scope="session")
def real() -> Path:
    """The stratified sample of real descriptions; without it the test is skipped."""
    if not SMALL.exists():
        pytest.skip(f"needs ../shared/data/{SMALL.name}, real texts that are not part of the repository")
    return SMALL
