"""Which run a session looks at where address and server disagree; presses that a rerun would lose."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sparsecore.dashboard import session
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.store import Store


def page() -> None:
    import streamlit as st

    from sparsecore.dashboard.session import linked_run, open_begun

    run = linked_run()
    st.text(run.id if run else "none")
    if begin := st.session_state.pop("begin", None):
        open_begun(begin)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    made = Store(tmp_path)
    monkeypatch.setattr(session, "the_store", lambda: made)
    yield made
    made.close()


def shown(app: AppTest) -> str:
    return app.run().text[0].value


def test_a_run_just_begun_is_not_lost_to_the_address_of_the_run_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    old, new = store.create(RunConfig()), store.create(RunConfig(seed=1))
    app = AppTest.from_function(page)
    app.query_params["run"] = old
    assert shown(app) == old
    app.session_state["begin"] = new
    app.run()
    app.query_params["run"] = old  # sent before the browser had heard of the new one
    assert shown(app) == new
    assert app.query_params["run"] in (new, [new])
    later = time.monotonic() + session.STALE_SECONDS + 1
    monkeypatch.setattr(session.time, "monotonic", lambda: later)
    app.query_params["run"] = old  # later it is a press of Back
    assert shown(app) == old


def test_an_address_without_a_run_shows_the_one_last_looked_at(store: Store):
    run = store.create(RunConfig())
    app = AppTest.from_function(page)
    app.query_params["run"] = run
    assert shown(app) == run
    del app.query_params["run"]
    assert shown(app) == run


def test_a_run_that_is_not_there_is_none(store: Store):
    app = AppTest.from_function(page)
    app.query_params["run"] = "nosuchrun"
    assert shown(app) == "none"


def page_with_buttons() -> None:
    import streamlit as st

    from sparsecore.dashboard.session import do_pressed, forget_presses, press

    broken_off, left = (st.session_state.pop(name, False) for name in ("broken_off", "left"))
    if left:
        forget_presses()
    if broken_off:
        st.rerun()  # as when the live view tells something just now
    do_pressed()
    st.button("Go", key="go", **press(st.session_state.setdefault("done", []).append, "gone"))
    if st.button("Go at once", key="at_once"):
        st.session_state["done"].append("gone at once")


def buttons() -> AppTest:
    return AppTest.from_function(page_with_buttons).run()


def test_a_press_is_done_by_the_run_after_one_that_was_broken_off():
    app = buttons()
    app.session_state["broken_off"] = True
    app.button("go").click().run()
    assert app.session_state["done"] == ["gone"]
    app.run()
    assert app.session_state["done"] == ["gone"]  # once


def test_streamlit_itself_loses_such_a_press():
    app = buttons()
    app.session_state["broken_off"] = True
    app.button("at_once").click().run()
    assert app.session_state["done"] == []


def test_a_press_is_not_kept_for_when_the_page_is_shown_again():
    app = buttons()
    app.session_state["left"] = app.session_state["broken_off"] = True
    app.button("go").click().run()
    assert app.session_state["done"] == []


def test_a_run_whose_deletion_is_undone_is_shown_again(store: Store):
    def page_of(run: str) -> None:
        import streamlit as st

        from sparsecore.dashboard.session import come_back, the_store

        if the_store().get(run) is None:
            come_back(run)
        else:
            st.text("shown")

    run = store.create(RunConfig())
    catalogue.remove(store, run)
    app = AppTest.from_function(page_of, kwargs={"run": run}).run()
    assert not app.text
    catalogue.restore(store, run)
    assert app.run().text[0].value == "shown"


def test_the_address_changes_in_one_message_and_only_where_it_differs(monkeypatch: pytest.MonkeyPatch):
    sent = []

    class Address(dict):
        to_dict = dict.copy
        from_dict = sent.append

    address = Address(run="a", seed="1", lang="en")
    monkeypatch.setattr(session.st, "query_params", address)
    session.put_in_address({"run": "a", "lang": "en", "data": None})
    assert not sent
    session.put_in_address({"run": "b", "seed": None, "size": "demo"})
    assert sent == [{"run": "b", "lang": "en", "size": "demo"}]
