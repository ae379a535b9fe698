"""Room on the disk: which runs go, what never goes, and that the store really becomes smaller."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.events import Checkpoint
from sparsecore.runs.store import catalogue, disk
from sparsecore.runs.store.database import StoreError
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.saved_state import StateFiles
from sparsecore.runs.store.store import Store
from sparsecore.settings import parse_size, read_setting

ANN, BOB = Person("ann"), Person("bob")
KB = 1_000
SIZE = 300 * KB


@pytest.fixture
def store(either_database: str, home: Path) -> Iterator[Store]:
    opened = Store(home)
    yield opened
    opened.close()


def filled(store: Store, by: Person = ANN, *, state: str = "ended") -> str:
    """A run of about 600 kB, of bytes that no database makes smaller."""
    run = store.create(RunConfig(), worker="w", by=by)
    entries = [LogEntry("frame", step, os.urandom(SIZE // 10)) for step in range(10)]
    store.write(run, "w", 9, entries, checkpoint=os.urandom(SIZE))
    if state == "ended":
        store.finish(run, "w", 9, "max_steps", {}, {})
    elif state == "failed":
        store.fail(run, "why")
    elif state in ("queued", "paused"):
        store.set_state(run, "w", state)
        store.release(run, "w")
    return run


def going(store: Store, target: int, by: Person = disk.HOST) -> list[str]:
    return [run.id for run, _ in disk.plan_removal(store, target, by).runs]


@pytest.mark.dialect
def test_the_oldest_go_first_and_no_more_than_needed(store: Store):
    oldest, second, _third = filled(store), filled(store), filled(store)
    now = disk.usage(store).occupied
    assert now > 3 * 2 * SIZE
    assert going(store, now) == []
    assert going(store, now - SIZE) == [oldest]
    assert going(store, now - 3 * SIZE) == [oldest, second]
    found = disk.plan_removal(store, now - 3 * SIZE)
    assert found.enough
    assert all(2 * SIZE <= size < 2 * SIZE + 20 * KB for _, size in found.runs)


def test_what_trains_waits_is_paused_or_pinned_never_goes(store: Store):
    states = ("queued", "running", "paused")
    kept = [filled(store, state=state) for state in states]
    pinned, failed = filled(store), filled(store, state="failed")
    catalogue.pin(store, pinned)
    found = disk.plan_removal(store, 0)
    assert [run.id for run, _ in found.runs] == [failed]
    assert not found.enough
    assert disk.prune(store, [*kept, pinned, failed]) == 1
    assert {run.id for run in store.list()} == {*kept, pinned}


def test_a_run_that_is_pinned_between_the_question_and_the_answer_stays(store: Store):
    one, two = filled(store), filled(store)
    asked = going(store, 0)
    catalogue.pin(store, two)
    assert (asked, disk.prune(store, asked)) == ([one, two], 1)
    assert store.get(two).pinned


def test_nobody_removes_anothers_runs(store: Store):
    mine, theirs = filled(store, ANN), filled(store, BOB)
    assert going(store, 0, ANN) == [mine]
    assert disk.prune(store, [mine, theirs], ANN) == 1
    assert [run.id for run in store.list()] == [theirs]


def test_deleted_runs_go_before_all_others(store: Store):
    oldest, deleted = filled(store), filled(store)
    catalogue.remove(store, deleted)
    assert going(store, 0) == [deleted, oldest]


@pytest.mark.dialect
def test_the_store_becomes_as_small_as_was_promised(store: Store):
    for _ in range(6):
        filled(store)
    target = disk.usage(store).occupied // 2
    found = disk.plan_removal(store, target)
    told: list[tuple[int, int]] = []
    gone = disk.prune(store, [run.id for run, _ in found.runs], progress=lambda *at: told.append(at))
    after = disk.usage(store).used
    assert gone == len(found.runs)
    assert 0 < gone < 6
    assert after <= target
    assert told[-1] == (gone, gone)
    if store.engine.dialect.name == "sqlite":
        assert Path(store.url.database).stat().st_size <= target
    assert len(store.list()) == 6 - gone


# -- the states of large runs, in files beside a SQLite store ---------------------------------------------


def left_by(store: Store, run: str) -> int:
    """Two states of the run in files, as its worker leaves them when it is killed; gives their bytes."""
    files = StateFiles(store, run)
    for step in (8, 9):
        assert files.write(Checkpoint(step, {"x": np.frombuffer(os.urandom(SIZE), np.uint8)}, {}))
    return sum(place.stat().st_size for place in files.paths)


def is_left(store: Store, run: str) -> bool:
    return any(place.exists() for place in StateFiles(store, run).paths)


@pytest.mark.parametrize("state", ["queued", "running", "paused"])
def test_the_files_of_a_run_that_may_go_on_count_and_stay(home: Path, state: str):
    store = Store(home)
    run = filled(store, state=state)
    before = disk.usage(store)
    size = left_by(store, run)
    assert size > 2 * SIZE
    assert disk.usage(store) == disk.DiskUsage(before.used + size, before.free)
    assert disk.prune(store, [run]) == 0
    assert is_left(store, run)
    assert disk.usage(store).used > size


@pytest.mark.parametrize("state", ["ended", "failed", None])
def test_files_that_no_run_goes_on_from_count_as_free_and_go(home: Path, state: str | None):
    store = Store(home)
    run = "deleted1" if state is None else filled(store, state=state)
    before = disk.usage(store)
    size = left_by(store, run)
    now = disk.usage(store)
    assert now == disk.DiskUsage(before.used + size, before.free + size)
    assert disk.plan_removal(store, now.occupied).runs == ()
    disk.prune(store, [])
    assert not is_left(store, run)
    assert disk.usage(store).used <= now.occupied


def test_the_files_of_a_deleted_run_wait_for_its_return_and_go_with_it(home: Path):
    store = Store(home)
    run, other = filled(store, state="running"), filled(store)
    size = left_by(store, run)
    catalogue.remove(store, run)
    disk.prune(store, [other])
    assert is_left(store, run)
    now = disk.usage(store)
    found = disk.plan_removal(store, 0)
    assert [gone.id for gone, _ in found.runs] == [run]
    assert found.runs[0][1] > 2 * SIZE + size
    assert disk.prune(store, [run]) == 1
    assert not is_left(store, run)
    assert disk.usage(store).used < now.occupied - size


def test_a_shared_database_neither_counts_nor_removes_the_files_of_the_one_that_was_here_before(
    home: Path, empty_database: str
):
    alone = Store(home)
    run = filled(alone, state="paused")
    left_by(alone, run)
    shared = Store(home, empty_database)
    filled(shared)
    now = disk.usage(shared).used
    disk.prune(shared, [])
    assert is_left(alone, run)
    assert now < 4 * SIZE
    assert disk.usage(alone).used > 4 * SIZE
    shared.close()


# -- files of every kind ----------------------------------------------------------------------------------


def test_a_file_of_an_older_version_becomes_smaller_too(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SPARSECORE_STORE", raising=False)
    home.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(home / "store.sqlite3") as old:
        old.execute("PRAGMA journal_mode=WAL")
        old.execute("CREATE TABLE settings (name VARCHAR(32) PRIMARY KEY, value JSON NOT NULL)")
    store = Store(home)
    runs = [filled(store) for _ in range(3)]
    assert disk.prune(store, runs) == 3
    assert disk.usage(store).used < SIZE
    assert disk.prune(store, [filled(store)]) == 1
    assert disk.usage(store).used < SIZE
    store.close()


def test_a_store_that_another_holds_says_why_it_is_no_smaller(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sparsecore.runs.store.database.BUSY_SECONDS", 0.2)
    store = Store(home)
    run = filled(store)
    store.delete(run)
    with sqlite3.connect(home / "store.sqlite3", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="could not be made smaller: database is locked"):
            disk.shrink(store)
        other.execute("ROLLBACK")
    disk.shrink(store)
    assert disk.usage(store).used < SIZE
    store.close()


def test_the_limit_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SPARSECORE_MAX_DISK", raising=False)
    assert read_setting("max_disk") is None
    monkeypatch.setenv("SPARSECORE_MAX_DISK", "2GB")
    assert read_setting("max_disk") == 2_000_000_000
    monkeypatch.setenv("SPARSECORE_MAX_DISK", "much")
    with pytest.raises(
        ValueError, match="SPARSECORE_MAX_DISK must be a size such as 500MB or 2GB, got 'much'"
    ):
        read_setting("max_disk")


@pytest.mark.parametrize(
    "text", ["", "-1GB", "GB", "1e9", "2,5GB", "1.2.3", "2 GB more", "2 parsecs", "nan", "1" * 40]
)
def test_what_is_no_size_is_refused(text: str):
    with pytest.raises(ValueError, match="500MB or 2GB"):
        parse_size(text)
