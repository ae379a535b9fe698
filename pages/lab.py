"""Lab: pick a task and a ρ, press Train, and watch it happen."""

from pathlib import Path

import streamlit as st

from sparsecore.dashboard import classroom, controls
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.data import kept
from sparsecore.dashboard.lab import cures, prediction
from sparsecore.dashboard.lab.transport import devices, language_switch, tell_changes, transport
from sparsecore.dashboard.live_view import is_frozen, live_view
from sparsecore.dashboard.presses import do_pressed
from sparsecore.dashboard.session import WELCOME, differs_from, linked_run, the_store, welcome_run
from sparsecore.dashboard.visitor import may, tell_refusal, whose_line
from sparsecore.engine.config import TEXTS

ICON = ":material/science:"
ORDER = 10

store = the_store()
classroom.go_along()
linked = linked_run()
controls.load(linked)
config = controls.checked(controls.present())  # first, so that what does not fit is told beside its field
if config is not None:
    tell_changes(linked, config)
if do_pressed():
    linked = linked_run()
run = linked or welcome_run()
frozen = is_frozen(run)  # once, for the buttons and the view


def training_parameters() -> None:
    """Data and optimiser."""
    st.caption(say("more.training"))
    controls.number("seed", step=1)
    controls.number("learning_rate", format="%g", step=1e-3)
    if not st.session_state.get("data"):
        controls.number("noise", format="%g", step=0.01)
    controls.number("max_steps", step=1000)
    controls.number("theta", format="%g", step=1e-4)
    controls.selection("device", devices(store))
    if st.session_state["task"] == TEXTS:
        controls.selection("precision", controls.choices("precision"))
    controls.selection("certificate", controls.choices("certificate"))


def text_parameters() -> None:
    """Which texts, and what is done with them."""
    st.caption(say("more.texts"))
    kept.choose(store.home / "corpora")
    st.page_link(Path(__file__).with_name("data.py"), label=say("data.link"), icon=":material/upload_file:")
    kept.treatment()


def constraint_parameters() -> None:
    """What the rule ‖w‖₀ ≤ s is over time, what it is applied to, and what it must spare."""
    st.caption(say("more.constraint"))
    if st.session_state["method"] == "dense":
        st.write(say("rule.dense"))
        return
    controls.selection("schedule", controls.choices("schedule"))
    if st.session_state["schedule"] != "constant":
        controls.number("schedule_start", format="%g", step=0.05)
        controls.number("schedule_steps", step=500)
    controls.choice("mode")
    controls.number("keep_alive", step=1)
    controls.number("keep_alive_layer", step=10)
    controls.number("freeze_at", step=100)
    controls.number("freeze_settled", step=100)


def choices() -> None:
    """What is trained: task, method, size, and everything else behind one button."""
    controls.choice("task", on_change=controls.follow_task)
    controls.choice("method")
    controls.choice("size", on_change=controls.follow_task)
    with st.popover(say("more"), icon=":material/tune:"):
        groups = [training_parameters, constraint_parameters]
        if st.session_state["task"] == TEXTS:
            groups.insert(0, text_parameters)
        for column, group in zip(st.columns(len(groups)), groups, strict=True):
            with column:
                group()


fixed, follows = classroom.asked(classroom.HIDDEN), classroom.asked(classroom.FOLLOW)
with st.container(horizontal=True, vertical_alignment="bottom", key="choices"):
    if not (fixed or follows):
        choices()
    st.space("stretch")
    if not (fixed or follows):
        classroom.menu()
    language_switch()

if follows:
    classroom.stay_along()
elif fixed:
    transport(run, frozen)
else:
    slider, buttons = st.columns([3, 7], vertical_alignment="bottom")
    with slider:
        controls.density_slider()
    with buttons:
        transport(run, frozen)

config = controls.checked(controls.save())
tell_refusal()
if "run" in st.query_params and linked is None:
    st.warning(say("run.missing", run=st.query_params["run"]))
elif config is not None and not follows and differs_from(config, run, run.origin == WELCOME or may(run)):
    st.caption(say("settings.differ"))
whose_line(run)
classroom.show_way(run)
if not (fixed or follows):
    cures.offer(run)
live_view(run, frozen)
if run.config.task == TEXTS:
    prediction.ask(store, run)
