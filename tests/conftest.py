"""A home folder and a store of their own for every test."""

import importlib.util
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import NullPool, create_engine
from xdist.scheduler import LoadScopeScheduling

from sparsecore.runs.store.store import Store
from tests.postgresql import Server, missing, programs

BROWSER = "tests/browser/"

settings.register_profile(
    "sparsecore",
    deadline=None,  # a busy machine decides how long an example takes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("sparsecore")


def pytest_configure(config: pytest.Config) -> None:
    """Compiled code is kept for all tests: else every process of every home compiles for seconds."""
    if not hasattr(config, "workerinput") and "NUMBA_CACHE_DIR" not in os.environ:  # else it is the session's
        folder = tempfile.TemporaryDirectory(prefix="sparsecore-compiled-")
        os.environ["NUMBA_CACHE_DIR"] = folder.name
        config.add_cleanup(folder.cleanup)


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
    monkeypatch.delenv("SPARSECORE_STORE", raising=False)
    return folder


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    """An empty store under `home`."""
    opened = Store(home)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def psycopg() -> None:
    """Skip the test where the driver of PostgreSQL is not installed."""
    if importlib.util.find_spec("psycopg") is None:
        missing("tests on PostgreSQL need psycopg: pip install -r requirements-cluster.txt")


@pytest.fixture(scope="session")
def postgresql(psycopg: None) -> Iterator[Server]:
    """One PostgreSQL server for all tests of a session."""
    if (found := programs()) is None:
        missing("tests on PostgreSQL need its server: Debian's package postgresql")
    server = Server(found)
    yield server
    server.end()


@pytest.fixture
def empty_database(postgresql: Server) -> Iterator[str]:
    """The address of an empty database: a schema of its own on the session's server."""
    schema = f"test_{uuid.uuid4().hex}"
    engine = create_engine(postgresql.url, poolclass=NullPool)  # the server may be restarted meanwhile
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    yield f"{postgresql.url}?options=-csearch_path%3D{schema}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(params=["sqlite", "postgresql"])
def either_database(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs twice: on SQLite, and with `SPARSECORE_STORE` naming a PostgreSQL database."""
    if request.param == "postgresql":
        monkeypatch.setenv("SPARSECORE_STORE", request.getfixturevalue("empty_database"))
    return request.param


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Choose what runs by default.

    A test of both databases runs on PostgreSQL only where the SQL differs: mark `dialect`. The mark `cluster`
    is on every test that is skipped without requirements-cluster.txt.
    """
    for item in items:
        database = getattr(item, "callspec", None) and item.callspec.params.get("either_database")
        if database == "postgresql" and not item.get_closest_marker("dialect"):
            item.add_marker(pytest.mark.slow)
        if database == "postgresql" or not {"psycopg", "cluster"}.isdisjoint(_fixtures(item)):
            item.add_marker(pytest.mark.cluster)


def _fixtures(item: pytest.Item) -> list[str]:
    """The fixtures of a test and theirs; a doctest has none."""
    return getattr(item, "fixturenames", [])


class ByFile(LoadScopeScheduling):
    """The tests of a file share a worker, and so do all browser tests, for one server and one Chromium."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return BROWSER if file.startswith(BROWSER) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Schedule by `ByFile`; `--dist loadgroup` does not see the groups of pytest 9."""
    return ByFile(config, log)
