"""The Runs page: a run is saved as a file and brought from one; what is refused is told in both languages."""

import io
import re
import time

import pytest
from sqlalchemy import insert
from streamlit.testing.v1 import AppTest

from sparsecore.dashboard.runs import files
from sparsecore.dashboard.server.identity import digest
from sparsecore.dashboard.visitor import WITHOUT_COOKIE
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import encode
from sparsecore.runs.files.archive import export_run
from sparsecore.runs.files.archive_file import ArchiveError
from sparsecore.runs.store import catalogue, disk
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.run import new_row
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.words import words
from tests.dashboard.opening import SECONDS, opened

CODES = ("not_archive", "damaged", "version", "too_large", "content")

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
def file(store: Store) -> tuple[str, bytes]:
    """A run that this store no longer has, as a file."""
    run, written = store.create(RunConfig(density=0.3)), io.BytesIO()
    export_run(store, run, written)
    store.delete(run)
    return run, written.getvalue()


def chosen(app: AppTest, run: str) -> AppTest:
    app.multiselect(key="archive_runs").set_value([run]).run()
    assert not app.exception
    return app


def listed(app: AppTest) -> list[str]:
    return list(app.dataframe[0].value["run"]) if app.dataframe else []


def ended(store: Store, by: Person = HOST, size: int = 100, **config) -> str:
    run = store.create(RunConfig(**config), worker="w", by=by)
    store.write(run, "w", 7, [LogEntry("frame", 7, encode({}, {}) + bytes(size))])
    store.finish(run, "w", 7, "max_steps", {}, {"metrics": {"test": {"rmse": 0.1}}})
    return run


def brought(app: AppTest, data: bytes) -> AppTest:
    app.file_uploader[0].set_value(("../../run.zip", data, "application/zip")).run()
    assert not app.exception
    return app


def test_a_run_is_chosen_and_saved(store: Store):
    run = store.create(RunConfig(density=0.3))
    app = opened("runs.py")
    assert not app.get("download_button")
    chosen(app, run)
    assert app.get("download_button")[0].proto.label == "Whole run"
    assert files._archive(run).startswith(b"PK")


def test_a_run_that_is_brought_stands_in_the_list_and_can_be_opened(store: Store, file: tuple[str, bytes]):
    app = brought(opened("runs.py"), file[1])
    assert f"Imported as run {file[0]}" in app.success[0].value
    assert f"/?run={file[0]}" in app.success[0].value
    assert list(app.dataframe[0].value["run"]) == [file[0]]
    assert list(app.dataframe[0].value["origin"]) == ["import"]
    assert "already exists" in brought(app, file[1]).success[0].value
    assert len(store.list()) == 1


@pytest.mark.parametrize(("language", "told"), [("en", "damaged or incomplete"), ("zh", "已损坏或不完整")])
def test_a_damaged_file_is_refused_in_the_readers_language(store: Store, file, language: str, told: str):
    data = bytearray(file[1])
    data[len(data) // 2] ^= 1
    app = brought(opened("runs.py", language), bytes(data))
    assert told in app.error[0].value
    assert store.list() == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_refusal_has_its_words(language: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files.st, "session_state", {"lang": language})
    details = {"where": "log 3 <b>", "why": "x", "version": "9", "known": 1, "mib": 1024}
    for code in CODES:
        told = files.refused(ArchiveError(code, "", **details))
        assert not re.search(r"[{}]|(?<!\\)<", told)
        assert f"archive.{code}" in words(language)


# -- search, name, pin, delete ----------------------------------------------------------------------------


def test_the_list_is_searched_and_filtered(store: Store):
    one, two = ended(store), ended(store, task="spirals", method="global")
    catalogue.describe(store, one, name="Best of Monday", note="**bold** <b>")
    app = opened("runs.py")
    assert listed(app) == [two, one]
    assert app.dataframe[0].value["note"][1] == "**bold** <b>"
    app.text_input(key="runs_search").set_value("monday").run()
    assert listed(app) == [one]
    app.text_input(key="runs_search").set_value("tuesday").run()
    assert listed(app) == []
    assert "No matching runs" in app.info[0].value
    app.text_input(key="runs_search").set_value("").run()
    app.selectbox(key="runs_task").set_value("spirals").run()
    assert listed(app) == [two]
    app.selectbox(key="runs_state").set_value("queued").run()
    assert listed(app) == []
    assert not app.exception


def test_only_ones_own_runs_are_mine(store: Store):
    theirs = ended(store, Person("somebody"))
    app = opened("runs.py")
    assert listed(app) == [theirs]
    app.get("button_group")[-1].set_value(["mine"]).run()
    assert not app.exception
    assert listed(app) == []


def test_a_chosen_run_is_named_and_pinned_and_stands_first(store: Store):
    one, two = ended(store), ended(store)
    app = chosen(opened("runs.py"), one)
    app.text_input(key=f"run_name_{one}").set_value("kept *well*").run()
    app.text_area(key=f"run_note_{one}").set_value("why").run()
    app.button(key="run_pin").click().run()
    assert not app.exception
    assert (store.get(one).name, store.get(one).note, store.get(one).pinned) == ("kept *well*", "why", True)
    assert listed(app) == [one, two]
    app.button(key="run_pin").click().run()
    assert listed(app) == [two, one]


def test_a_deleted_run_leaves_the_list_and_undo_brings_it_back(store: Store):
    run = ended(store)
    catalogue.describe(store, run, name="a [link](x)")
    before, frames = store.get(run), store.frames(run)
    app = chosen(opened("runs.py"), run)
    app.button(key="run_delete").click().run()
    assert not app.exception
    assert (listed(app), store.get(run)) == ([], None)
    assert r"a \[link\]\(x\) deleted." in [told.value for told in app.markdown]
    app.button(key=f"undo_{run}_button").click().run()
    assert not app.exception
    assert listed(app) == [run]
    assert (store.get(run), store.frames(run)) == (before, frames)


def test_anothers_run_can_be_read_and_not_renamed_pinned_or_deleted(store: Store):
    run = ended(store, Person("somebody"))
    app = chosen(opened("runs.py"), run)
    assert app.text_input(key=f"run_name_{run}").disabled
    assert app.text_area(key=f"run_note_{run}").disabled
    assert app.button(key="run_pin").disabled
    assert app.button(key="run_delete").disabled


def test_numbers_of_the_list_can_be_sorted_and_a_dense_run_has_no_density(store: Store):
    ended(store, method="dense")
    ended(store, density=0.1)
    shown = opened("runs.py").dataframe[0].value
    assert list(shown["test_rmse"]) == [0.1, 0.1]
    assert shown["density"][0] == 0.1
    assert shown["density"].isna()[1]
    assert shown["created"].dtype.kind == "M"


def test_several_runs_are_told_apart_and_deleted_together_and_come_back(store: Store):
    one, two, three = ended(store, density=0.1), ended(store, density=0.2), ended(store, seed=5)
    app = opened("runs.py")
    app.multiselect(key="archive_runs").set_value([one, two]).run()
    assert not app.exception
    assert list(app.dataframe[1].value.columns) == ["run", "density"]
    app.button(key="run_delete").click().run()
    assert not app.exception
    assert listed(app) == [three]
    for run in (one, two):
        app.button(key=f"undo_{run}_button").click().run()
    assert sorted(listed(app)) == sorted([one, two, three])


def test_of_several_runs_only_ones_own_are_deleted(store: Store):
    theirs, nobodys = ended(store, Person("somebody")), ended(store)
    opened("runs.py")  # another person: nobody is alone here
    app = opened("runs.py")
    mine = ended(store, Person(digest(app.session_state[WITHOUT_COOKIE])))
    app.run().multiselect(key="archive_runs").set_value([mine, theirs, nobodys]).run()
    assert not app.exception
    app.button(key="run_delete").click().run()
    assert sorted(listed(app)) == sorted([theirs, nobodys])


def test_a_press_counts_for_who_presses_it_now(store: Store):
    run = ended(store)
    app = chosen(opened("runs.py"), run)  # alone
    opened("runs.py")  # another comes, and the first page does not know
    app.button(key="run_delete").click().run()
    assert listed(app) == [run]


def test_a_run_that_is_erased_while_its_page_is_open_is_told(store: Store):
    run = ended(store)
    app = chosen(opened("runs.py"), run)
    store.delete(run)
    app.button(key="run_delete").click().run()
    assert not app.exception
    assert f"Run {run} no longer exists" in app.toast[0].value


def test_ten_thousand_runs_are_counted_and_two_hundred_shown(store: Store):
    template = new_row(RunConfig(), "page") | {"state": "ended", "reason": "max_steps", "result": {}}
    with store.engine.begin() as connection:
        connection.execute(insert(runs), [template | {"id": f"r{place:05}"} for place in range(10_000)])
    app = opened("runs.py")
    assert len(listed(app)) == 200
    assert "200 of 10,000 runs" in app.caption[0].value
    app.text_input(key="runs_search").set_value("r0777").run()
    assert len(listed(app)) == 10


# -- room on the disk -------------------------------------------------------------------------------------


def test_the_page_says_what_the_store_takes_and_of_how_much(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SPARSECORE_MAX_DISK", raising=False)
    assert any("used by all runs" in told.value for told in opened("runs.py").markdown)
    monkeypatch.setenv("SPARSECORE_MAX_DISK", "1kB")
    app = opened("runs.py")
    assert "more space than allowed" in app.warning[0].value
    monkeypatch.setenv("SPARSECORE_MAX_DISK", "much")
    assert "SPARSECORE" in opened("runs.py").error[0].value


def test_room_is_made_only_after_asking_and_of_the_runs_that_were_named(store: Store):
    old, pinned, new = (ended(store, size=2_000_000, seed=seed) for seed in range(3))
    catalogue.pin(store, pinned)
    app = opened("runs.py")
    app.session_state["disk_room"] = True
    app.run()
    app.number_input(key="disk_target").set_value(5).run()
    assert list(app.dataframe[-1].value["run"]) == [old]
    assert app.button(key="disk_remove").disabled
    app.checkbox[0].check().run()
    app.button(key="disk_remove").click().run()
    deadline = time.monotonic() + SECONDS
    while not app.success and time.monotonic() < deadline:  # a busy machine shows a bar for a while
        app.run()
    assert not app.exception
    assert "Runs deleted: 1." in app.success[0].value
    assert {run.id for run in store.list()} == {pinned, new}
    assert disk.usage(store).used < 5_000_000
