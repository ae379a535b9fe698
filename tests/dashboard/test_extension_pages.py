"""A method and a task of a folder of their own on the pages: their widgets, words, runs and comparisons."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker
from tests.dashboard.opening import opened
from tests.extension import extended, write_all


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> Iterator[None]:
    with extended(write_all(tmp_path / "extension")):
        yield


def trained(store: Store, **given: object) -> str:
    run = store.create(RunConfig.parse({"max_steps": 20, "theta": 0.0} | given), worker="w")
    Worker(store, store.get(run), "w").work()
    return run


def test_the_lab_shows_their_widgets_and_trains_them(served: Store):
    link = {"task": "stairs", "method": "lottery", "interval": "7", "density": "0.5"}
    app = opened("lab.py", "zh", **link)
    found = {widget.key: (widget.label, widget.value) for widget in app.number_input}
    assert found["interval"] == ("两次抽取之间的步数", 7)
    assert found["stairs"] == ("级数", 3)
    assert "keep_alive" not in found  # the method has no use for it
    app.number_input(key="stairs").set_value(4).run()
    app.button(key="do_train").click().run()
    assert not app.exception
    (run,) = served.list(origin="page")
    config = run.config
    assert (config.task, config.size, config.method) == ("stairs", "tiny", "lottery")
    assert (config.interval, config.stairs) == (7, 4)
    assert app.query_params["interval"] in ("7", ["7"])


def test_a_value_that_does_not_fit_is_told_in_the_readers_language(served: Store):
    app = opened("lab.py", "en", method="lottery", interval="0")
    (told,) = {error.value for error in app.error}  # at its widget and above Train
    assert told.startswith("Steps between two draws")
    assert "at least 1 and at most 1,000" in told


def test_another_method_forgets_them(served: Store):
    app = opened("lab.py", "en", method="lottery", interval="7")
    app.session_state["method"] = "global"
    app.run()
    assert not app.exception
    assert "interval" not in app.query_params
    assert "interval" not in {widget.key for widget in app.number_input}


def test_the_sweep_page_begins_a_sweep_of_it(served: Store):
    app = opened("sweep.py", "en", task="sinc")
    app.session_state["sweep_chosen"] = app.session_state["sweep_chosen"] | {"sweep_methods": ["lottery"]}
    app.run()
    assert not app.exception
    assert app.number_input(key="interval").value == 5


@pytest.mark.parametrize("language", ["en", "zh"])
def test_their_runs_stand_in_compare_in_the_list_and_in_the_lab(served: Store, language: str):
    first = trained(served, task="stairs", method="lottery", density=0.5)
    second = trained(served, task="stairs", method="layerwise", density=0.5)
    for page, query in (
        ("compare.py", {"a": first, "b": second}),
        ("runs.py", {}),
        ("lab.py", {"run": first}),
    ):
        opened(page, language, **query)
