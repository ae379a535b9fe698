"""Train, pause, step, stop, reset, new seed: the buttons and their commands to the store."""

import time
from typing import Any

import streamlit as st

from sparsecore.dashboard import controls
from sparsecore.dashboard.controls import put, say, worded
from sparsecore.dashboard.session import (
    FREEZING,
    WELCOME,
    begun_here,
    note_begun,
    open_begun,
    press,
    the_store,
)
from sparsecore.dashboard.visitor import attempt, hint, may, refuse, visitor
from sparsecore.engine.cards import methods
from sparsecore.engine.config import PARAMETERS, RunConfig, parameters_of
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store

ICONS = {
    "pause": ":material/pause:",
    "resume": ":material/resume:",
    "step": ":material/skip_next:",
    "stop": ":material/stop:",
    "freeze": ":material/ac_unit:",
    "thaw": ":material/mode_heat:",
}


def transport(run: Run, frozen: bool, *, trainable: bool = True) -> None:
    """Draw the buttons that start a run, where the settings are `trainable`, and those that act on `run`."""
    mine = run.origin != WELCOME and may(run)
    paused, running = mine and run.state == "paused", mine and run.state == "running"
    method = the_store().changes(run.id).get("method", run.config.method)
    freezable = (paused or running) and "freeze_at" in methods()[method].takes
    off = {"disabled": not trainable}
    with st.container(horizontal=True, key="transport", gap="xsmall"):
        _button("train", ":material/play_arrow:", "T", press(train, run.id), type="primary", **off)
        _ask_button(run, "resume" if paused else "pause", "P", enabled=paused or running)
        _ask_button(run, "step", "S", enabled=paused)
        _ask_button(run, "thaw" if frozen else "freeze", "F", enabled=freezable)
        _ask_button(run, "stop", "X", enabled=mine and run.active)
        _button("reset", ":material/replay:", "Z", press(_reset, run.id), **off)
        _button("new_seed", ":material/casino:", "N", press(_new_seed, run.id), **off)


def train(shown: str, config: RunConfig | None = None, *, paused: bool = False) -> str | None:
    """Start a run with these settings, or those of the widgets, show it, and return its id.

    The run shown before is stopped if it is the user's own and still trains.

    paused: wait before the first step.
    """
    config = config or controls.checked(controls.present())
    if config is None:
        refuse(controls.refusal())
        return None
    run_id = attempt(_begin, the_store().get(shown), config, paused)
    if run_id is not None:
        open_begun(run_id)
    return run_id


def _begin(shown: Run | None, config: RunConfig, paused: bool) -> str:
    store, person = the_store(), visitor()
    replaces = shown is not None and shown.active and begun_here(shown)
    run_id = store.create(config, by=person)  # first: where the queue is full, the old one goes on
    if paused:
        store.command(run_id, "pause", by=person)
    if replaces:
        store.command(shown.id, "stop", by=person)
    note_begun(run_id)
    return run_id


def _reset(shown: str) -> None:
    """Start over: the same initial weights, before the first step."""
    train(shown, paused=True)


def _new_seed(shown: str) -> None:
    seeds = int(PARAMETERS["seed"].maximum) + 1
    put("seed", (int(st.session_state["seed"] or 0) + 1) % seeds)
    train(shown)


def _button(action: str, icon: str, shortcut: str, pressed: dict[str, Any], **options: Any) -> None:
    words = worded(f"action.{action}") | options
    st.button(**words, **pressed, icon=icon, shortcut=shortcut, key=f"do_{action}")


def _ask_button(run: Run, action: str, shortcut: str, *, enabled: bool) -> None:
    state = {"disabled": not enabled, "help": hint(run, say(f"action.{action}.help"))}
    _button(action, ICONS[action], shortcut, press(attempt, _ask, run.id, action), **state)


def tell_changes(shown: Run | None, config: RunConfig) -> None:
    """Send changed live parameters to the shown run.

    Not in a callback (see `presses`); an interrupted page sends them again.
    """
    names = controls.changed()
    rows = parameters_of(config.task, config.method)
    live = {name: getattr(config, name) for name in names if name in rows and rows[name].live}
    if live and shown is not None and shown.active and shown.origin != WELCOME and may(shown):
        attempt(the_store().command, shown.id, "change", live, by=visitor())
    controls.note(names)


def _ask(run_id: str, what: str) -> None:
    store, person = the_store(), visitor()
    match what:
        case "resume":
            store.resume(run_id, by=person)
        case "freeze" | "thaw":
            # A step that is over already means now.
            step = max(1, store.get(run_id).step) if what == "freeze" else None
            store.command(run_id, "change", {"freeze_at": step}, by=person)
            st.session_state[FREEZING] = run_id, what == "freeze", time.monotonic()
        case _:
            store.command(run_id, what, by=person)


def devices(store: Store) -> dict[str, str]:
    """Return the devices found by the last worker: config name → display name."""
    found = store.setting("devices", list)
    names = {"auto": say("device.auto")}
    for device in found or [{"name": "cpu", "label": ""}]:
        about = [device["label"]] if device["label"] else []
        if "free" in device:
            about.append(f"{device['free'] / 2**30:.1f} GiB {say('device.free')}")
        names[device["name"]] = f"{device['name']} ({', '.join(about)})" if about else device["name"]
    return names
