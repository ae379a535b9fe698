"""What a measurement trains is in nobody's store."""

import os

import pytest

from sparsecore.commands.benchmarks.own_home import own_home
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store


def test_a_shared_database_is_left_alone_and_named_again_afterwards(monkeypatch: pytest.MonkeyPatch):
    shared = "postgresql+psycopg://nobody@unreachable.invalid/none"
    monkeypatch.setenv("SPARSECORE_STORE", shared)
    with own_home() as home:
        store = Store(home)
        store.create(RunConfig())
        assert list(home.glob("store.sqlite3"))
        store.close()
    assert os.environ["SPARSECORE_STORE"] == shared
    assert not home.exists()
