"""Lab: pick a task and a ρ, press Train, and watch it happen."""

from pathlib import Path

import streamlit as st

from sparsecore.dashboard import classroom, controls
from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.data import kept
from sparsecore.dashboard.lab import cures, prediction
from sparsecore.dashboard.lab.transport import tell_changes, transport
from sparsecore.dashboard.live_view import is_frozen, live_view
from sparsecore.dashboard.parameters import choice, columns, density_slider
from sparsecore.dashboard.runs import files
from sparsecore.dashboard.session import (
    WELCOME,
    come_back,
    differs_from,
    do_pressed,
    linked_run,
    the_store,
    welcome_run,
)
from sparsecore.dashboard.visitor import may, tell_refusal, whose_line
from sparsecore.dashboard.widgets import language_switch
from sparsecore.engine.cards import tasks

DATA = Path(__file__).with_name("data.py")
ICON = ":material/science:"
ORDER = 10

store = the_store()
classroom.go_along()
linked = linked_run()
controls.load(linked)
config = controls.checked(controls.present())  # first, so that errors show at their fields
if config is not None:
    tell_changes(linked, config)
if do_pressed():
    linked = linked_run()
run = linked or welcome_run()
frozen = is_frozen(run)  # once, for the buttons and the view


def choices() -> None:
    """What is trained: task, method, size, and everything else behind one button."""
    choice("task", on_change=controls.follow_task)
    choice("method", on_change=controls.follow_method)
    choice("size", on_change=controls.follow_task)
    with st.popover(say("more"), icon=":material/tune:"):
        columns([st.session_state["method"]])
        if tasks()[st.session_state["task"]].reads_texts:
            st.page_link(DATA, label=say("data.link"), icon=":material/upload_file:")


fixed, follows = classroom.is_requested(classroom.HIDDEN), classroom.is_requested(classroom.FOLLOW)
with st.container(horizontal=True, vertical_alignment="bottom", key="choices"):
    if not (fixed or follows):
        choices()
    st.space("stretch")
    if not (fixed or follows):
        classroom.menu()
    language_switch()

trainable = not controls.problems()
if follows:
    classroom.stay_along()
else:
    controls.covered_problems()
    buttons = st.container()
    if not fixed:
        slider, buttons = st.columns([3, 7], vertical_alignment="bottom")
        with slider:
            density_slider()
    with buttons:
        transport(run, frozen, trainable=trainable)

config = controls.checked(controls.save())
tell_refusal()
if "run" in st.query_params and linked is None:
    st.warning(say("run.missing", run=st.query_params["run"]))
    come_back(st.query_params["run"])
elif config is not None and not follows and differs_from(config, run, run.origin == WELCOME or may(run)):
    if config.data:
        st.info(say("settings.texts", name=plain(kept.name_of(config.data, store.home / "corpora"))))
    else:
        st.caption(say("settings.differ"))
if not follows:
    whose_line(run)
classroom.show_way(run)
if not (fixed or follows):
    cures.offer(run)
live_view(run, frozen)
if not (fixed or follows):
    with st.container(horizontal=True, vertical_alignment="center", key="run_files"):
        st.caption(say("run.id", run=run.id))
        with st.popover(say("take.title"), icon=files.DOWNLOAD, type="tertiary"):
            files.show(run)
if tasks()[run.config.task].reads_texts:
    prediction.ask(store, run)
