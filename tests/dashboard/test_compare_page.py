"""The Compare page: two runs of the address, or a pair found for it; what cannot be compared is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sparsecore.dashboard import compare, session
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.people import HOST
from sparsecore.runs.store.store import Store

PAGE = str(Path(__file__).parents[2] / "pages" / "compare.py")


@pytest.fixture(autouse=True)
def the_store(store: Store) -> Iterator[Store]:
    """The pages' store is this test's."""
    session.the_store.cache_clear()
    yield store
    session.the_store.cache_clear()


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What the page tells its component, at every run."""
    told: list[dict] = []
    monkeypatch.setattr(compare, "place", lambda name, key, shown, **callbacks: told.append(shown))
    return told


def opened(language: str = "en", **query: str) -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["lang"] = language
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def begun(store: Store, **settings) -> str:
    run = store.create(RunConfig(**settings), worker="w")
    store.write(run, "w", 20, [])
    return run


def address(app: AppTest) -> dict[str, str]:
    found = app.query_params.items()
    return {name: value if isinstance(value, str) else value[0] for name, value in found}


def test_without_an_address_the_newest_pair_is_shown_and_the_address_says_so(store: Store, shown: list):
    older, newer = begun(store, method="global"), begun(store)
    app = opened()
    assert address(app) == {"a": older, "b": newer}
    assert (shown[-1]["a"]["run"], shown[-1]["b"]["run"], shown[-1]["step"]) == (older, newer, None)


def test_the_address_opens_its_runs_at_its_step(store: Store, shown: list):
    one, other = begun(store), begun(store, density=0.1)
    begun(store, density=0.2)
    app = opened(a=other, b=one, step="1234")
    assert address(app) == {"a": other, "b": one, "step": "1234"}
    assert (shown[-1]["a"]["run"], shown[-1]["b"]["run"], shown[-1]["step"]) == (other, one, 1234)


@pytest.mark.parametrize("step", ["", "-1", "x", "1e3", "9" * 20, "٣"])
def test_a_step_that_is_no_number_is_the_newest(step: str, store: Store, shown: list):
    begun(store), begun(store, density=0.1)
    opened(step=step)
    assert shown[-1]["step"] is None


def test_one_run_of_the_address_gets_a_partner(store: Store, shown: list):
    near = begun(store, method="global")
    begun(store, method="global", density=0.1, seed=5)
    one = begun(store)
    assert address(opened(a=one)) == {"a": one, "b": near}
    assert address(opened(b=one)) == {"a": near, "b": one}
    assert address(opened(a=one, b=one)) == {"a": one, "b": near}


def test_a_run_that_is_not_there_is_told_and_replaced(store: Store):
    one, other = begun(store), begun(store, density=0.1)
    app = opened(a="nothere", b=other)
    assert "nothere" in app.warning[0].value
    assert address(app) == {"a": one, "b": other}


def test_the_two_change_places(store: Store, shown: list):
    one, other = begun(store), begun(store, density=0.1)
    app = opened(a=one, b=other)
    app.button(key="compare_swap").click().run()
    assert address(app) == {"a": other, "b": one}
    app.selectbox(key="compare_b_1").set_value(other).run()
    assert address(app) == {"a": one, "b": other}
    assert (shown[-1]["a"]["run"], shown[-1]["b"]["run"]) == (one, other)


def test_a_list_that_the_browser_shows_as_it_was_does_not_change_the_two_back(store: Store):
    one, other = begun(store), begun(store, density=0.1)
    app = opened(a=one, b=other)
    before = [each.proto.id for each in app.selectbox]
    app.button(key="compare_swap").click().run()
    assert [each.value for each in app.selectbox] == [other, one]
    assert not {each.proto.id for each in app.selectbox} & set(before)


def test_runs_are_found_by_search(store: Store):
    one, other, named = begun(store), begun(store, density=0.1), begun(store, density=0.2)
    begun(store, task="spirals")
    catalogue.describe(store, named, name="Best of Monday", by=HOST)
    app = opened(a=one, b=other)
    assert len(app.selectbox(key="compare_b_0").options) == 3
    app.text_input(key="compare_search").set_value("monday").run()
    assert len(app.selectbox(key="compare_b_0").options) == 2  # what is found, and what is chosen
    app.selectbox(key="compare_b_0").set_value(named).run()
    assert address(app) == {"a": one, "b": named}
    app.text_input(key="compare_search").set_value("tuesday").run()
    assert not app.exception
    assert address(app) == {"a": one, "b": named}


def test_another_task_shows_its_own_pair(store: Store):
    begun(store), begun(store, density=0.1)
    one, other = begun(store, task="spirals"), begun(store, task="spirals", density=0.1)
    begun(store, density=0.2)
    app = opened()
    app.button_group(key="compare_task").set_value("spirals").run()
    assert address(app) == {"a": one, "b": other}


@pytest.mark.parametrize(("language", "told"), [("en", "A is a run on sinc"), ("zh", "A 的任务是")])
def test_runs_of_two_tasks_are_told_in_a_sentence(language: str, told: str, store: Store, shown: list):
    app = opened(language, a=begun(store), b=begun(store, task="spirals"))
    assert told in app.warning[0].value
    assert not shown


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_empty_store_offers_to_train_both_methods_in_one_press(language: str, store: Store, shown: list):
    app = opened(language)
    assert not shown
    app.button(key="compare_train").click().run()
    assert not app.exception
    second, first = store.list()
    assert (first.config, second.config) == (RunConfig(method="global"), RunConfig(method="layerwise"))
    assert address(app) == {"a": first.id, "b": second.id}
    assert (shown[-1]["a"]["run"], shown[-1]["b"]["run"]) == (first.id, second.id)


def test_a_lone_run_is_offered_its_counterpart(store: Store, shown: list):
    one = begun(store, method="global", density=0.1, seed=3)
    app = opened(a=one)
    assert "layer-wise" in app.button(key="compare_train").label
    app.button(key="compare_train").click().run()
    assert store.list()[0].config == RunConfig(method="layerwise", density=0.1, seed=3)
    assert address(app) == {"a": one, "b": store.list()[0].id}
    assert shown[-1]["a"]["run"] == one


def test_where_the_queue_is_full_the_offer_says_so(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARSECORE_MAX_QUEUED", "1")
    app = opened()
    app.button(key="compare_train").click().run()
    assert len(store.list()) == 1
    assert len(app.error) == 1


def test_the_step_that_is_looked_at_goes_into_the_address():
    def page() -> None:
        import streamlit as st

        from sparsecore.dashboard.compare import turn_to_step

        turn_to_step(st.session_state["at"])

    app = AppTest.from_function(page)
    app.session_state["at"] = 1200
    assert address(app.run()) == {"step": "1200"}
    app.session_state["at"] = None
    assert address(app.run()) == {}


def test_an_address_of_unknown_runs_alone_leaves_both_to_be_chosen(store: Store, shown: list):
    runs = [begun(store), begun(store, density=0.1)]
    app = opened(a="gone1", b="gone2")
    assert [warning.value for warning in app.warning] == [
        f"There is no run {name} on this server; it may have been deleted." for name in ("gone1", "gone2")
    ]
    assert shown == []
    box = app.selectbox[0]
    assert box.value is None
    box.set_value(runs[0]).run()
    assert sorted(address(app).values()) == sorted(runs)
    assert not app.warning
