"""The Challenge page: empty, with a run to enter, judged, on the board; in both languages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sparsecore.config import RunConfig
from sparsecore.dashboard import session, visitor
from sparsecore.dashboard.words import words
from sparsecore.runs.store import Store
from sparsecore.runs.worker import Worker

PAGE = str(Path(__file__).parents[2] / "pages" / "challenge.py")
MARKUP = "<img src=x onerror=alert(1)> **bold**"


@pytest.fixture(autouse=True)
def the_store(store: Store) -> Iterator[Store]:
    session.the_store.cache_clear()
    visitor._seen.cache_clear()
    yield store
    session.the_store.cache_clear()


def opened(language: str = "en") -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state["lang"] = language
    return app.run()


def trained(store: Store, **parameters: object) -> str:
    run = store.create(RunConfig.parse({"task": "spirals"} | parameters), worker="w")
    Worker(store, store.get(run), "w").work()
    return run


@pytest.mark.parametrize("language", ["en", "zh"])
def test_without_a_run_it_says_what_to_do(language: str):
    app = opened(language)
    said = [box.value for box in app.info]
    assert said == [words(language)["challenge.none_of_yours"], words(language)["challenge.empty"]]
    assert not app.exception


def test_a_run_that_passes_is_on_the_board_under_a_name_that_is_only_text(store: Store):
    run = trained(store, method="layerwise", density=0.4)
    app = opened()
    app.text_input[0].set_value(MARKUP[:40])
    app.button[0].click().run()
    assert f"Run {run} passes with 166 weights" in app.success[0].value
    row = app.dataframe[0].value.iloc[0]
    assert (row["rank"], row["name"], row["weights"]) == (1, MARKUP[:40], 166)
    assert not any(MARKUP[:10] in text.value for text in app.markdown)


def test_a_run_that_does_not_pass_is_told_how_far_it_is(store: Store):
    trained(store, max_steps=5)
    app = opened()
    app.button[0].click().run()
    assert "does not pass yet" in app.warning[0].value
    assert not app.dataframe
