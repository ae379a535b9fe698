"""A store on PostgreSQL: what a server brings that a file does not, and what is said without one."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import delete, event, insert, update
from streamlit.testing.v1 import AppTest

from sparsecore.dashboard import session
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import database
from sparsecore.runs.store import store as store_module
from sparsecore.runs.store.database import StoreError, clock, database_url
from sparsecore.runs.store.log import LogEntry, append
from sparsecore.runs.store.store import LOST_SECONDS, Store
from sparsecore.runs.store.tables import log, runs
from tests.postgresql import Server

ROOT = Path(__file__).parents[2]
NOBODY = "postgresql+psycopg://ann:secret@127.0.0.1:9/lab"  # port 9: discard, where nothing listens


def command_line(store: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sparsecore", "runs", "--json"],
        env={"PATH": "", "PYTHONPATH": str(ROOT), "COLUMNS": "500", "SPARSECORE_STORE": store},
        capture_output=True,
        text=True,
    )


# -- which database ---------------------------------------------------------------------------------------


def test_without_an_address_the_store_is_a_file_of_the_home(home: Path):
    url = database_url(home)
    assert (url.get_backend_name(), url.database) == ("sqlite", str(home / "store.sqlite3"))


def test_an_address_given_comes_before_the_environments(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARSECORE_STORE", "postgresql://environment/lab")
    assert database_url(home).host == "environment"
    assert database_url(home, "postgresql+psycopg://given/lab").host == "given"


@pytest.mark.parametrize(
    "address", ["gibberish", "postgresql://host:port/lab", "mysql://ann:secret@host/lab", "sqlite:///a.db"]
)
def test_what_is_no_postgresql_database_is_refused_with_an_example(home: Path, address: str):
    with pytest.raises(StoreError, match=r"postgresql\+psycopg://user:password@host/database") as caught:
        Store(home, address)
    assert "secret" not in str(caught.value)


def test_two_homes_share_the_runs_of_one_database(shared: Store, empty_database: str, tmp_path: Path):
    run = shared.create(RunConfig(density=0.3))
    other = Store(tmp_path / "elsewhere", empty_database)
    assert other.get(run).config.density == 0.3
    assert not list(tmp_path.glob("**/store.sqlite3"))
    other.close()


# -- what is said when it cannot be used ------------------------------------------------------------------


@pytest.mark.usefixtures("psycopg")
def test_the_command_line_says_in_one_sentence_that_nobody_answers():
    done = command_line(NOBODY)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ann:***@127.0.0.1:9/lab cannot be reached: connection failed" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.usefixtures("psycopg")
@pytest.mark.parametrize("page", ["runs.py", "lab.py"])
def test_a_page_says_that_nobody_answers(home: Path, page: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARSECORE_STORE", NOBODY)
    session.the_store.cache_clear()
    app = AppTest.from_file(str(ROOT / "pages" / "_navigation.py"), default_timeout=30)
    app.query_params["lang"] = "en"
    app.run()
    app.switch_page(page).run()
    session.the_store.cache_clear()
    assert "ann:***@127.0.0.1:9/lab cannot be reached" in app.error[0].value.replace("\\", "")
    assert not app.exception


def test_without_psycopg_the_file_to_install_is_named():
    # An import that is set to None raises as one that is not installed does.
    code = f"""
import sys
sys.modules["psycopg"] = None
from sparsecore.runs.store.store import Store
Store(url={NOBODY!r}).list()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.strip().endswith("needs psycopg: pip install -r requirements-cluster.txt.")


def test_a_store_goes_on_when_its_server_is_back(shared: Store, postgresql: Server):
    run = shared.create(RunConfig(), worker="w")
    postgresql.stop()
    try:
        with pytest.raises(StoreError, match="cannot be reached"):
            shared.heartbeat(run, "w")
    finally:
        postgresql.start()
    shared.heartbeat(run, "w")
    assert [found.id for found in shared.list()] == [run]


# -- what several machines need ---------------------------------------------------------------------------


def test_heartbeats_are_by_the_servers_clock(shared: Store, monkeypatch: pytest.MonkeyPatch):
    alive, silent = (shared.create(RunConfig(), worker="w") for _ in range(2))
    with shared.engine.begin() as connection:
        long_ago = clock(shared.engine) - LOST_SECONDS - 1
        connection.execute(update(runs).where(runs.c.id == silent).values(heartbeat=long_ago))
    monkeypatch.setattr(database.time, "time", lambda: 1e10)  # this machine's clock is wrong by centuries
    shared.heartbeat(alive, "w")
    assert [run.id for run in shared.lost()] == [silent]
    assert shared.get(alive).heartbeat < 1e10 - 1


def test_of_two_writers_to_a_run_the_second_is_numbered_after_the_first_has_committed(shared: Store):
    """A reader who has seen a row has seen every row of that run with a smaller id."""
    run = shared.create(RunConfig(), worker="w")
    started = threading.Event()

    def second() -> None:
        started.set()
        shared.write(run, "w", 2, [LogEntry("record", 2, b"{}")])

    writer = threading.Thread(target=second)
    with shared.engine.begin() as connection:
        shared._update_own_in(connection, run, "w", {"step": 1})
        writer.start()
        started.wait()
        time.sleep(0.2)  # it waits for the row of the run
        assert shared.entries(run, ["record"]) == []
        append(connection, run, [LogEntry("record", 1, b"{}")])
    writer.join()
    assert [row.step for row in shared.entries(run, ["record"])] == [1, 2]


def test_an_id_of_the_log_never_comes_again(shared: Store):
    run = shared.create(RunConfig(), worker="w")
    shared.write(run, "w", 1, [LogEntry("record", 1, b"{}"), LogEntry("record", 2, b"{}")])
    last = shared.last_row(run)
    with shared.engine.begin() as connection:
        connection.execute(delete(log).where(log.c.id == last))
    shared.write(run, "w", 2, [LogEntry("record", 2, b"{}")])
    assert shared.last_row(run) > last


def test_a_row_id_may_pass_what_an_integer_holds(shared: Store):
    run = shared.create(RunConfig(), worker="w")
    row = {"id": 2**40, "run_id": run, "kind": "frame", "step": 1, "nth": 0, "stride": 1, "size": 1}
    with shared.engine.begin() as connection:
        connection.execute(insert(log).values(row | {"payload": b"x"}))
    assert shared.last_row(run) == 2**40


def test_a_command_is_taken_by_one_of_two_that_ask_at_once(shared: Store, empty_database: str, home: Path):
    run = shared.create(RunConfig(), worker="w")
    other = Store(home, empty_database)
    shared.command(run, "pause")
    taken: list[list] = []

    def meanwhile(_connection, _cursor, statement: str, *_more) -> None:
        if statement.startswith("DELETE FROM commands") and not taken:
            taken.append(other.take_commands(run))

    event.listen(shared.engine, "before_cursor_execute", meanwhile)
    assert shared.take_commands(run) == []
    assert taken == [[("pause", {})]]
    other.close()


def test_two_that_keep_a_setting_at_once_do_not_collide(shared: Store):
    gate = threading.Barrier(4)
    failed: list[Exception] = []

    def keep(value: int) -> None:
        gate.wait()
        try:
            for _ in range(10):
                shared.set_setting("devices", value)
        except Exception as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    threads = [threading.Thread(target=keep, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert shared.setting("devices", lambda: None) in range(4)


def test_times_of_a_run_are_seconds_since_the_epoch(shared: Store):
    run = shared.get(shared.create(RunConfig(), worker="w"))
    assert abs(run.created - time.time()) < 60
    assert run.created == pytest.approx(run.heartbeat, abs=60)
    assert store_module.HEARTBEAT_SECONDS < LOST_SECONDS
