"""Train, pause, step, stop, reset, new seed: buttons and what they ask of the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from sparsecore.config import PARAMETERS, RunConfig
from sparsecore.dashboard.controls import hold, put, say
from sparsecore.dashboard.session import WELCOME, begun_here, note_begun, the_store
from sparsecore.dashboard.visitor import account_menu, attempt, hint, may, visitor
from sparsecore.dashboard.words import LANGUAGES
from sparsecore.runs.run import Run
from sparsecore.runs.store import Store

ICONS = {
    "pause": ":material/pause:",
    "resume": ":material/resume:",
    "step": ":material/skip_next:",
    "stop": ":material/stop:",
    "freeze": ":material/ac_unit:",
    "thaw": ":material/mode_heat:",
}
Begin = Callable[[Store, Run, RunConfig], str]


def transport(run: Run) -> Begin | None:
    """The row of buttons. Those that begin a run give what begins it; the others act on `run` at once."""
    mine = run.origin != WELCOME and may(run)
    paused, running = mine and run.state == "paused", mine and run.state == "running"
    method = the_store().changes(run.id).get("method", run.config.method)
    freezable = (paused or running) and method != "dense"
    frozen = the_store().last_record(run.id).get("frozen", False)
    with st.container(horizontal=True, key="transport", gap="xsmall"):
        train = _button("train", ":material/play_arrow:", "T", type="primary")
        _ask_button(run, "resume" if paused else "pause", "P", enabled=paused or running)
        _ask_button(run, "step", "S", enabled=paused)
        _ask_button(run, "thaw" if frozen else "freeze", "F", enabled=freezable)
        _ask_button(run, "stop", "X", enabled=mine and run.active)
        reset = _button("reset", ":material/replay:", "Z")
        new_seed = _button("new_seed", ":material/casino:", "N", on_click=_next_seed)
    if train or new_seed:
        return begin
    return begin_paused if reset else None


def begin(store: Store, shown: Run, config: RunConfig) -> str:
    """Train with these settings; the run that was shown is stopped, if it is our own and still trains."""
    person = visitor()
    run_id = store.create(config, by=person)  # first: where the queue is full, the old one goes on
    if shown.active and begun_here(shown):
        store.command(shown.id, "stop", by=person)
    note_begun(run_id)
    return run_id


def begin_paused(store: Store, shown: Run, config: RunConfig) -> str:
    """The same initial weights, waiting before the first step."""
    run_id = begin(store, shown, config)
    store.command(run_id, "pause", by=visitor())
    return run_id


def _button(action: str, icon: str, shortcut: str, **options: Any) -> bool:
    words = {"label": say(f"action.{action}"), "help": say(f"action.{action}.help")} | options
    return st.button(**words, icon=icon, shortcut=shortcut, key=f"do_{action}")


def _ask_button(run: Run, action: str, shortcut: str, *, enabled: bool) -> None:
    asking = {"on_click": attempt, "args": (_ask, run.id, action), "disabled": not enabled}
    _button(action, ICONS[action], shortcut, help=hint(run, say(f"action.{action}.help")), **asking)


def _ask(run_id: str, what: str) -> None:
    store, person = the_store(), visitor()
    match what:
        case "resume":
            store.resume(run_id, by=person)
        case "freeze":
            # A step that is over already means now.
            store.command(run_id, "change", {"freeze_at": max(1, store.get(run_id).step)}, by=person)
        case "thaw":
            store.command(run_id, "change", {"freeze_at": None}, by=person)
        case _:
            store.command(run_id, what, by=person)


def _next_seed() -> None:
    seeds = int(PARAMETERS["seed"].maximum) + 1
    put("seed", (int(st.session_state["seed"] or 0) + 1) % seeds)


def devices(store: Store) -> dict[str, str]:
    """The devices of this machine as the last worker found them: name in a config → name for people."""
    found = store.setting("devices", list)
    names = {"auto": say("device.auto")}
    for device in found or [{"name": "cpu", "label": ""}]:
        about = [device["label"]] if device["label"] else []
        if "free" in device:
            about.append(f"{device['free'] / 2**30:.1f} GiB {say('device.free')}")
        names[device["name"]] = f"{device['name']} ({', '.join(about)})" if about else device["name"]
    return names


def language_switch() -> None:
    """The corner of a page: who one is, where that matters; 中文 or English, at once and in the link."""

    def keep() -> None:
        st.session_state["lang"] = st.session_state["language_choice"]
        st.query_params["lang"] = st.session_state["lang"]

    hold("language_choice", st.session_state["lang"])
    with st.container(horizontal=True, vertical_alignment="bottom", width="content", key="corner"):
        account_menu()
        st.segmented_control(
            say("language"),
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            key="language_choice",
            required=True,
            on_change=keep,
            label_visibility="collapsed",
        )
