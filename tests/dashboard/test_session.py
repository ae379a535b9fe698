"""Which run a session looks at, when the browser's address and the server's disagree."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sparsecore.dashboard import session
from sparsecore.engine.config import RunConfig
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
