"""A class: links that hide the controls, the run and the step that everybody is led to."""

import pytest
from streamlit.testing.v1 import AppTest

from sparsecore.dashboard import session
from sparsecore.dashboard.server.live_route import status_of
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store
from sparsecore.teaching.classroom import TeacherView, set_teacher_view, teacher_view
from sparsecore.words import words
from tests.dashboard.opening import opened

SAY = words("en")

pytestmark = pytest.mark.usefixtures("served")


def labels(app: AppTest) -> set[str]:
    return {each.label for each in (*app.button, *app.select_slider, *app.checkbox)}


def test_a_link_that_hides_the_controls_keeps_the_buttons_and_the_settings():
    app = opened("lab.py", controls="0", density="0.2", task="spirals")
    assert not app.exception
    assert SAY["parameter.density"] not in labels(app)
    assert SAY["action.train"] in labels(app)
    app.button(key="do_train").click().run()
    (run,) = [run for run in session.the_store().list() if run.origin == "page"]
    assert (run.config.task, run.config.density) == ("spirals", 0.2)


def test_who_follows_sees_the_run_that_is_led_to_and_no_buttons(store: Store):
    first, second = (store.create(RunConfig(seed=seed)) for seed in (1, 2))
    set_teacher_view(store, TeacherView(first))
    app = opened("lab.py", follow="1")
    assert app.query_params["run"] == first
    assert SAY["action.train"] not in labels(app)
    assert SAY["class.following"] in [caption.value for caption in app.caption]
    set_teacher_view(store, TeacherView(second))
    app.run()
    assert app.query_params["run"] == second


def test_where_nobody_leads_it_says_so():
    assert SAY["class.nobody_leads"] in [caption.value for caption in opened("lab.py", follow="1").caption]


def test_leading_begins_with_the_run_that_is_shown_and_ends_with_the_toggle(store: Store):
    run = store.create(RunConfig(seed=1))
    app = opened("lab.py", run=run)
    app.toggle(key="leads").set_value(True).run()
    assert teacher_view(store) == TeacherView(run)
    app.toggle(key="leads").set_value(False).run()
    assert teacher_view(store) is None


def test_everybody_who_watches_the_run_is_told_the_step(store: Store):
    run, other = store.create(RunConfig()), store.create(RunConfig(seed=1))
    assert status_of(store, run)["lead"] is None
    set_teacher_view(store, TeacherView(run, 40))
    assert (status_of(store, run)["lead"], status_of(store, other)["lead"]) == (40, None)


def test_the_link_has_the_settings_and_what_was_chosen(store: Store):
    app = opened("lab.py", density="0.2")
    assert "controls=0" in app.code[0].value
    assert "density=0.2" in app.code[0].value
    app.checkbox(key="class_follow").check().run()
    assert "follow=1" in app.code[0].value
    assert "density" not in app.code[0].value
