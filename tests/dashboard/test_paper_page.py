"""The Paper page: with and without shipped data, with the runs of this server, and its button."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sparsecore.dashboard import session
from sparsecore.paper import pictures, reproduction
from sparsecore.paper.plan import TablePlan
from sparsecore.paper.reproduction import enqueue, load_pictures, load_reproduction, load_shipped_pictures
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.workers.worker import Worker
from sparsecore.words import words

PAGE = Path(__file__).parents[2] / "pages" / "paper.py"
SECONDS = 60
EN = words("en")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where shipped reproductions are looked for: an empty folder."""
    for function in (reproduction.load_shipped, load_shipped_pictures):
        monkeypatch.setattr(function, "__defaults__", (tmp_path,))
    return tmp_path


@pytest.fixture
def open_page(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The page on an empty store, in English."""
    session.the_store.cache_clear()

    def open_(**query: str) -> AppTest:
        app = AppTest.from_file(str(PAGE), default_timeout=SECONDS)
        app.session_state["lang"] = query.pop("lang", "en")
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, app.exception
        return app

    yield open_
    session.the_store().close()
    session.the_store.cache_clear()


def html(app: AppTest) -> str:
    """All markup of the page."""
    return "".join(element.proto.body for element in app.get("html"))


def choose(app: AppTest, key: str, value: str) -> AppTest:
    """Another segment of a row."""
    app.session_state[key] = value  # a test cannot press a segment whose words are in the session's language
    app.run()
    assert not app.exception, app.exception
    return app


def small(store: Store, table: str) -> TablePlan:
    """A trained table at the demo size, one seed, two steps a run."""
    plan = TablePlan(table, (0,), "demo", parameters={"max_steps": 2})
    enqueue(store, plan)
    for run in store.list(states=["queued"]):
        store.claim(run.id, "test")
        Worker(store, store.get(run.id), "test").work()
    return plan


def test_without_shipped_data_the_papers_own_numbers_stand_there_with_empty_cells(open_page):
    app = open_page()
    shown = html(app)
    assert "0.6664" in shown
    assert EN["paper.status.missing"] in shown
    assert [info.value for info in app.info] == [EN["paper.source.none"]]
    assert app.button(key="paper_do_begin").label == EN["paper.run.begin"]
    assert EN["paper.figure.missing"] in [caption.value for caption in app.caption]
    assert "not stated" in shown


@pytest.mark.parametrize("table", ["3-1", "3-2", "3-4"])
def test_the_address_chooses_the_table(open_page, table: str):
    app = open_page(table=table, lang="zh")
    assert words("zh")[f"paper.about.{table}"] in [text.value for text in app.markdown]


def test_a_table_that_is_none_falls_back_to_the_first(open_page):
    assert EN["paper.about.3-1"] in [text.value for text in open_page(table="9-9").markdown]


def test_reproduce_begins_sweeps_and_stop_takes_them_back(open_page, store: Store):
    app = open_page()
    choose(app, "paper_size_3-1", "demo")
    app.text_input(key="paper_seeds").set_value("7").run()
    app.button(key="paper_do_begin").click().run()
    assert not app.exception
    assert {run.config.seed for run in store.list()} == {7}
    assert len(store.list()) == 22
    assert {run.origin for run in store.list()} == {"sweep"}
    assert {sweep.state for sweep in stored.recent(store)} == {"running"}
    app.button(key="paper_do_stop").click().run()
    assert store.list() == []
    assert {sweep.state for sweep in stored.recent(store)} == {"stopped"}


@pytest.mark.parametrize("seeds", ["x", "", "0-40"])
def test_seeds_that_do_not_fit_are_told_and_nothing_can_be_begun(open_page, seeds: str):
    app = open_page()
    app.text_input(key="paper_seeds").set_value(seeds).run()
    assert not app.exception
    assert len(app.error) == 1
    assert not [button for button in app.button if button.key == "paper_do_begin"]


def test_a_shipped_reproduction_is_shown_at_once_with_its_command_and_commit(
    open_page, store: Store, folder: Path
):
    plan = small(store, "3-2")
    found = load_reproduction(store, plan).model_copy(update={"commit": "c0ffee"})
    reproduction.write_shipped(found, folder)
    pictures.write_pictures(load_pictures(store, plan), reproduction.pictures_path("3-2", folder))
    app = open_page(table="3-2")
    shown = html(app)
    assert "c0ffee" in shown
    assert found.command in shown
    assert not app.info
    assert len(app.get("plotly_chart")) == 1 + 5
    assert f'href="/?run={found.trials[0].run}' not in shown  # another server's runs cannot be opened here
    choose(app, "paper_source_next", "store")  # what a press of Reproduce does
    assert "c0ffee" not in html(app)
    assert EN["paper.status.missing"] in html(app)


def test_sorting_shows_the_papers_seconds_before_anything_is_measured(open_page):
    app = open_page(table="3-5")
    assert "41.55 s" in html(app)
    assert EN["paper.sorting.none"] in [caption.value for caption in app.caption]
    assert app.button(key="paper_measure").label == EN["paper.sorting.measure"]
