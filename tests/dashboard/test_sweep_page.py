"""The Sweep page: begins, shows, stops and resumes a sweep."""

import csv
import io

import pytest
from sqlalchemy import insert
from streamlit.testing.v1 import AppTest

from sparsecore.dashboard.sweep import results
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.run import new_row
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import Cell, SweepSpec
from tests.dashboard.opening import opened

SPEC = SweepSpec(task="sinc", densities=(1.0, 0.4, 0.1), seeds=(0, 1), parameters={"size": "demo"})

pytestmark = pytest.mark.usefixtures("served")


def row(config: RunConfig, test: float = 0.08, reason: str = "max_steps") -> dict:
    """A finished run as the store has it."""
    kept = round(256 * config.density)
    layers = [
        {"name": "fc1", "shape": [16, 1], "prunable": False, "nonzeros": 16, "density": 1.0},
        {"name": "fc2", "shape": [16, 16], "prunable": True, "nonzeros": kept, "density": config.density},
    ]
    result = {
        "metrics": {"train": {"rmse": 0.07}, "test": {"rmse": test}},
        "layers": layers,
        "steps": 100,
        "seconds": 2.0,
        "nonzeros": kept,
        "budget": kept,
    }
    ending = {"state": "ended", "reason": reason, "detail": {}, "result": result, "step": 100}
    return new_row(config, "sweep") | ending


def finish(store: Store, configs, **more) -> None:
    with store.engine.begin() as connection:
        connection.execute(insert(runs), [row(config, **more) for config in configs])


def charts(app: AppTest) -> list[str]:
    return [chart.proto.id.rpartition("-")[2] for chart in app.get("plotly_chart")]


def states(store: Store) -> list[str]:
    return [cell.status for cell in stored.cells_of(store, SPEC)]


def test_with_no_sweep_the_thesis_is_drawn_and_a_press_begins_a_small_one(store: Store):
    app = opened("sweep.py")
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1
    next(button for button in app.button if button.label == "Try a small sweep").click().run()
    assert not app.exception
    (sweep,) = stored.recent(store)
    assert app.query_params["sweep"] in (sweep.id, [sweep.id])
    assert sweep.spec.parameters["size"] == "demo"
    assert any("0 of 21 done" in text.value for text in app.markdown)


def test_start_enqueues_what_was_chosen_and_only_what_is_missing(store: Store):
    finish(store, [SPEC.config("global", 0.1, 0)])
    app = opened("sweep.py")
    app.text_input(key="sweep_densities").set_value("1, 0.4 .1")
    app.text_input(key="sweep_seeds").set_value("0-1").run()
    assert any("**Runs: 10**, 9 of them new" in text.value for text in app.markdown)
    app.button(key="sweep_start").click().run()
    assert not app.exception
    assert stored.recent(store)[0].spec == SPEC
    assert sorted(states(store)) == ["done", *["queued"] * 9]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("densities", "1, 2", "“2” is not a valid density"),
        ("seeds", "x", "“x” is not a valid seed"),
        ("seeds", "", "at least one"),
    ],
)
def test_what_does_not_fit_is_told_and_cannot_be_started(store: Store, field, value, told):
    app = opened("sweep.py")
    app.text_input(key=f"sweep_{field}").set_value(value).run()
    assert told in app.error[0].value
    assert app.button(key="sweep_start").disabled


def test_a_finished_sweep_has_its_curves_layers_costs_and_table(store: Store):
    finish(store, SPEC.configs())
    sweep = stored.begin(store, SPEC)
    app = opened("sweep.py")  # the newest
    assert not app.exception
    assert app.query_params["sweep"] in (sweep, [sweep])
    assert len(app.get("plotly_chart")) == 5
    assert len(app.dataframe[0].value) == 10
    assert any("Runs: 10, all done" in text.value for text in app.markdown)
    assert "sweep_do_stop" not in [button.key for button in app.button]


def test_stop_and_resume(store: Store):
    finish(store, [SPEC.config("global", 0.1, 0)])
    app = opened("sweep.py", sweep=stored.begin(store, SPEC))
    app.button(key="sweep_do_stop").click().run()
    assert sorted(states(store)) == ["done", *["missing"] * 9]
    app.button(key="sweep_do_resume").click().run()
    assert not app.exception
    assert sorted(states(store)) == ["done", *["queued"] * 9]


def test_the_choices_are_those_of_the_sweep_that_is_opened(store: Store):
    other = SPEC.model_copy(update={"densities": (0.3,), "seeds": (4,), "methods": ("global",)})
    first, second = stored.begin(store, SPEC), stored.begin(store, other)
    app = opened("sweep.py", sweep=second)
    assert (app.text_input(key="sweep_densities").value, app.text_input(key="sweep_seeds").value) == (
        "0.3",
        "4",
    )
    app.selectbox(key="sweep_listed").set_value(first).run()
    assert app.text_input(key="sweep_densities").value == "1, 0.4, 0.1"
    assert app.query_params["sweep"] in (first, [first])


def test_a_link_with_settings_is_not_overruled_by_the_newest_sweep(store: Store):
    stored.begin(store, SPEC)
    app = opened("sweep.py", task="spirals", max_steps="60")
    assert "sweep" not in app.query_params
    app.button(key="sweep_start").click().run()
    assert not app.exception
    begun = stored.recent(store)[0]
    assert (begun.spec.task, begun.spec.parameters["max_steps"]) == ("spirals", 60)
    assert app.query_params["sweep"] in (begun.id, [begun.id])


def test_a_sweep_of_a_search_is_not_in_the_list(store: Store):
    mine = stored.begin(store, SPEC)
    stored.begin(store, SPEC.model_copy(update={"densities": (0.3,)}), "search")
    assert opened("sweep.py").selectbox(key="sweep_listed").options[0].endswith(mine)
    assert len(opened("sweep.py").selectbox(key="sweep_listed").options) == 1


def test_a_sweep_that_is_not_there_is_told():
    assert "nosuch" in opened("sweep.py", sweep="nosuch").warning[0].value


def test_the_page_speaks_chinese(store: Store):
    finish(store, SPEC.configs(), reason="collapsed")
    stored.begin(store, SPEC)
    app = opened("sweep.py", "zh")
    assert not app.exception
    assert "全部完成" in " ".join(text.value for text in app.markdown)


def test_the_file_has_every_cell_with_every_digit(store: Store):
    config = SPEC.config("global", 0.1, 0)
    finish(store, [config], test=0.0812345678901)
    read = list(csv.DictReader(io.StringIO(results.cells_csv(stored.cells_of(store, SPEC)))))
    assert len(read) == len(SPEC.configs())
    (done,) = [line for line in read if line["status"] == "done"]
    assert (float(done["test"]), done["method"], done["density"]) == (0.0812345678901, "global", "0.1")
    assert results.cells_csv([Cell(config, None)]).count("\n") == 2
