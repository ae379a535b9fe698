"""The Challenge page: empty, with a run to enter, judged, on the board; in both languages."""

import pytest

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker
from sparsecore.words import words
from tests.dashboard.opening import opened

MARKUP = "<img src=x onerror=alert(1)> **bold**"

pytestmark = pytest.mark.usefixtures("served")


def trained(store: Store, **parameters: object) -> str:
    run = store.create(RunConfig.parse({"task": "spirals"} | parameters), worker="w")
    Worker(store, store.get(run), "w").work()
    return run


@pytest.mark.parametrize("language", ["en", "zh"])
def test_without_a_run_it_says_what_to_do(language: str):
    app = opened("challenge.py", language)
    said = [box.value for box in app.info]
    assert said == [words(language)["challenge.none_of_yours"], words(language)["challenge.empty"]]
    assert not app.exception


def test_a_run_that_passes_is_on_the_board_under_a_name_that_is_only_text(store: Store):
    run = trained(store, method="layerwise", density=0.4, max_steps=1_500)
    app = opened("challenge.py")
    app.text_input[0].set_value(MARKUP[:40])
    app.button[0].click().run()
    assert f"Run {run} passes with 166 weights" in app.success[0].value
    row = app.dataframe[0].value.iloc[0]
    assert (row["rank"], row["name"], row["weights"]) == (1, MARKUP[:40], 166)
    assert not any(MARKUP[:10] in text.value for text in app.markdown)


def test_a_run_that_does_not_pass_is_told_how_far_it_is(store: Store):
    trained(store, max_steps=5)
    app = opened("challenge.py")
    app.button[0].click().run()
    assert "does not pass yet" in app.warning[0].value
    assert not app.dataframe
