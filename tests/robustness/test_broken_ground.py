"""A full disk, a locked, damaged or read-only store, a clock set back: said in a sentence, and outlasted."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from sparsecore.__main__ import app
from sparsecore.dashboard import session
from sparsecore.dashboard.server.live_route import status_of
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import database
from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.lost import SILENT_SECONDS, HeartbeatMonitor
from sparsecore.runs.workers.supervisor import Supervisor
from sparsecore.runs.workers.worker import Worker, one_thread
from sparsecore.words import words
from tests.robustness.servers import soon
from tests.robustness.test_kills import assert_as_if_left_alone

CONFIG = RunConfig(theta=0.0, max_steps=1_500, seed=11)
NAVIGATION = Path(__file__).parents[2] / "pages" / "_navigation.py"


class Training:
    """A run that a thread of this process trains, and what its worker complained of."""

    def __init__(self, store: Store, config: RunConfig = CONFIG, run: str | None = None) -> None:
        one_thread()
        self.store, self.config = store, config
        self.run = run or store.create(config)
        assert store.claim(self.run, "w")
        self.complaints: list[StoreError] = []
        self.error: Exception | None = None
        self.gone = threading.Event()
        self.worker = Worker(
            store, store.get(self.run), "w", self.gone, on_store_error=self.complaints.append
        )
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        try:
            self.worker.work()
        except Exception as error:  # noqa: BLE001 - it is what the test looks at
            self.error = error

    def trains(self) -> None:
        """Wait until it does."""
        soon(lambda: self.store.get(self.run).step > 0, "a step")

    def complains_of(self, kind: str) -> None:
        """Wait until the worker does; training stands still from then on, and everything can be read."""
        soon(lambda: [error.kind for error in self.complaints] == [kind], f"a complaint: {kind}")
        step, frames = self.worker.step, self.store.frames(self.run)
        time.sleep(0.5)
        assert self.thread.is_alive()
        assert self.worker.step == step
        assert self.store.frames(self.run) == frames
        assert self.store.get(self.run).state == "running"

    def ends_as_if_left_alone(self) -> None:
        """Wait for the end; nothing was lost and nobody complained again."""
        self.thread.join(300)
        assert self.error is None
        assert len(self.complaints) <= 1
        assert_as_if_left_alone(self.store, self.run, self.config)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of its own for the folder, for those who may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mounting, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no program `mount` here")
    if done.returncode != 0:
        pytest.skip("this user may not mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(place: Path) -> None:
    """Take all the space that is left."""
    free = True
    with place.open("wb", buffering=0) as file:
        while free:
            try:
                file.write(b"\0" * 4096)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - any other error is one of the test
                free = False


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Another program writes to the store, and takes its time."""
    with closing(sqlite3.connect(store.url.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def damage(store: Store) -> bytes:
    """Overwrite all pages but the first with noise; gives the file as it was."""
    place = Path(store.url.database)
    store.close()
    with closing(sqlite3.connect(place)) as last:
        last.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = place.read_bytes()
    place.write_bytes(before[:4096] + os.urandom(len(before) - 4096))
    return before


def refused(*arguments: str) -> str:
    """What the command line says when it ends with exit code 1; it is one sentence."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def page_says(language: str) -> str:
    """What the Lab shows where the store cannot be used."""
    session.the_store.cache_clear()
    try:
        page = AppTest.from_file(str(NAVIGATION), default_timeout=300)
        page.query_params["lang"] = language
        page.run()
        assert not page.exception
        return page.error[0].value
    finally:
        session.the_store.cache_clear()


def test_a_full_disk_holds_training_up_until_there_is_space(home: Path):
    with small_disk(home, "8m"):
        store = Store(home)
        training = Training(store)
        training.trains()
        fill(home / "filler")
        training.complains_of("full")
        assert "free some space" in str(training.complaints[0])
        (home / "filler").unlink()
        training.ends_as_if_left_alone()
        store.close()


def test_the_command_line_says_that_the_disk_is_full(home: Path):
    with small_disk(home, "1m"):
        with closing(Store(home)) as store:
            store.list()
        fill(home / "filler")
        assert "is full: free some space" in refused("train", "sinc", "--max-steps", "10")


def test_a_locked_store_holds_training_up_until_it_is_free(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    training = Training(store)
    training.trains()
    with locked(store):
        training.complains_of("locked")
        assert "backup" in str(training.complaints[0])
    training.ends_as_if_left_alone()


def test_a_worker_that_is_let_go_waits_for_no_store(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    training = Training(store, RunConfig(theta=0.0, max_steps=1_000_000))
    training.trains()
    with locked(store):
        training.complains_of("locked")
        training.gone.set()
        training.thread.join(60)
    assert isinstance(training.error, StoreError)
    assert training.error.kind == "locked"


@pytest.mark.slow
def test_whoever_watches_is_told_that_the_store_is_locked_until_it_is_not(store: Store):
    run = store.create(CONFIG)
    store.claim(run, "somebody")  # who is silent from now on: it cannot write
    store.set_state(run, "somebody", "paused")
    supervisor = Supervisor(store, cores=1, spare=False)
    with locked(store):
        supervisor.start()
        soon(lambda: status_of(store, run)["trouble"], "that viewers are told")
        assert status_of(store, run)["trouble"] == {"kind": "locked", "place": "store.sqlite3"}
    soon(lambda: status_of(store, run)["trouble"] is None, "that it is over")
    soon(lambda: store.get(run).worker is None, "that the run is taken from the dead")
    supervisor.stop()


@pytest.mark.slow
def test_a_reader_who_never_ends_holds_nobody_up(store: Store):
    with closing(sqlite3.connect(store.url.database, isolation_level=None)) as reader:
        training = Training(store)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        training.ends_as_if_left_alone()
        assert training.complaints == []
        reader.execute("COMMIT")


def test_a_damaged_store_is_told_in_one_sentence_and_a_backup_goes_on(store: Store):
    long = RunConfig(theta=0.0, max_steps=15_000, seed=11)  # not over at its first checkpoint
    training = Training(store, long)
    soon(lambda: store.checkpoint(training.run), "a checkpoint")
    training.gone.set()
    training.thread.join(60)
    before = damage(store)
    assert "is damaged" in refused("runs")
    assert "is damaged" in refused("train", "sinc", "--max-steps", "10")
    for language in ("en", "zh"):
        expected = words(language)["live.store.damaged"].split("{place}")[-1]
        assert page_says(language).endswith(expected)
    with pytest.raises(StoreError, match="restore a backup"):
        store.get(training.run)
    Path(store.url.database).write_bytes(before)  # the very same Store, as in a server that was left running
    Training(store, long, training.run).ends_as_if_left_alone()


def test_a_store_that_is_moved_away_is_begun_anew(store: Store):
    run = store.create(CONFIG)
    for place in store.home.glob("store.sqlite3*"):
        place.unlink()
    store.engine.dispose()
    with pytest.raises(StoreError, match="was moved while in use"):
        store.get(run)
    assert store.get(run) is None
    assert store.get(store.create(CONFIG)).state == "queued"


def test_a_read_only_home_is_told_in_one_sentence_and_works_once_it_is_not(home: Path):
    with small_disk(home, "8m"):
        with closing(Store(home)) as store:
            run = store.create(CONFIG)
        subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
        assert "is not writable" in refused("runs")
        assert "is not writable" in refused("train", "sinc", "--max-steps", "10")
        for language in ("en", "zh"):
            expected = words(language)["live.store.readonly"].split("{place}")[-1]
            assert page_says(language).endswith(expected)
        subprocess.run(["mount", "-o", "remount,rw", str(home)], check=True)
        with closing(Store(home)) as store:
            Training(store, CONFIG, run).ends_as_if_left_alone()


def make_read_only(store: Store) -> None:
    """Remount the disk under a store that is in use: possible in a moment in which no file of it is open."""

    def remounted() -> bool:
        store.engine.dispose()
        remounting = ["mount", "-o", "remount,ro", str(store.home)]
        return subprocess.run(remounting, capture_output=True, check=False).returncode == 0

    soon(remounted, "that the disk is made read-only")


@pytest.mark.slow
def test_a_home_that_becomes_read_only_holds_training_up_until_it_is_not(home: Path):
    with small_disk(home, "32m"):
        store = Store(home)
        training = Training(store)
        training.trains()
        make_read_only(store)
        soon(lambda: training.complaints, "a complaint")
        assert training.complaints[0].kind == "readonly"
        assert "make it and its folder writable" in str(training.complaints[0])
        step = training.worker.step
        with pytest.raises(StoreError, match="is not writable"):
            store.get(training.run)
        for language in ("en", "zh"):
            expected = words(language)["live.store.readonly"].split("{place}")[-1]
            assert page_says(language).endswith(expected)
        assert training.thread.is_alive()
        assert training.worker.step == step
        subprocess.run(["mount", "-o", "remount,rw", str(home)], check=True)
        training.ends_as_if_left_alone()
        store.close()


@pytest.mark.slow
def test_a_worker_that_is_let_go_on_a_read_only_home_ends_cleanly_and_goes_on_later(home: Path):
    with small_disk(home, "32m"):
        store = Store(home)
        training = Training(store)
        soon(lambda: store.checkpoint(training.run), "a checkpoint")
        make_read_only(store)
        soon(lambda: training.complaints, "a complaint")
        training.gone.set()
        training.thread.join(60)
        assert isinstance(training.error, StoreError)
        assert training.error.kind == "readonly"
        subprocess.run(["mount", "-o", "remount,rw", str(home)], check=True)
        store.recover(training.run, "w", "it was let go")
        Training(store, CONFIG, training.run).ends_as_if_left_alone()
        store.close()


def test_a_home_that_cannot_be_made_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPARSECORE_HOME", str(tmp_path / "file" / "home"))
    assert "is not writable" in refused("runs")


def test_a_clock_set_back_loses_no_run_that_trains_and_finds_the_dead(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    training = Training(store, RunConfig(theta=0.0, max_steps=1_000_000))
    dead = store.create(CONFIG)
    store.claim(dead, "dead")
    training.trains()
    monitor = HeartbeatMonitor(store)
    assert monitor.lost() == []
    monkeypatch.setattr(database, "clock", lambda engine: time.time() - 3600)
    found: list[str] = []

    def looked() -> bool:
        found.extend(run.id for run in monitor.lost())
        return dead in found

    soon(looked, "that the dead is found")
    deadline = time.monotonic() + SILENT_SECONDS
    while time.monotonic() < deadline:
        looked()
        time.sleep(0.1)
    assert set(found) == {dead}
    training.gone.set()
    training.thread.join(60)
    assert store.get(training.run).state == "queued"
