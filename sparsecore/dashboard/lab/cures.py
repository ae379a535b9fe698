"""Offer a collapsing run to new users, and for a collapsed run its remedies, a button each."""

from typing import Any

import streamlit as st

from sparsecore.dashboard.controls import put, say
from sparsecore.dashboard.lab.transport import train
from sparsecore.dashboard.pages import page_file
from sparsecore.dashboard.session import press, the_store
from sparsecore.engine.cards import methods
from sparsecore.engine.config import PAPER_DENSITIES, RunConfig
from sparsecore.runs.store.run import WELCOME, Run

LESSON = "collapse"
# As in lesson 8: the last layer is empty at step 1.
DYING = {"method": "global", "density": 0.1, "max_steps": 4_000}
# A small layer keeps four of its sixteen weights; a large network needs a way through at every neuron.
FLOORS = {"demo": {"keep_alive_layer": 4}}
FLOOR = {"keep_alive": 1}


def cures(config: RunConfig) -> dict[str, dict[str, Any]]:
    """Return the remedies for a collapsed run by name: the parameters to change.

    A larger ρ comes last: with a global budget the next larger values empty the same layer.

    >>> cures(RunConfig(method="global", density=0.05))
    {'layerwise': {'method': 'layerwise'}, 'floor': {'keep_alive_layer': 4}}
    >>> cures(RunConfig(method="layerwise", density=0.05, keep_alive=1))
    {'density': {'density': 0.1}}
    """
    larger = [density for density in PAPER_DENSITIES if density > config.density]
    found: dict[str, dict[str, Any]] = {}
    card = methods()[config.method]
    if card.cure is not None:
        found[card.cure] = {"method": card.cure}
    if "keep_alive" in card.takes and not config.keep_alive and not config.keep_alive_layer:
        found["floor"] = FLOORS.get(config.size, FLOOR)
    if larger and not found:
        found["density"] = {"density": larger[0]}
    return found


def offer(run: Run) -> None:
    """Buttons that train a collapsed run again with one thing changed; the welcome run offers a collapse."""
    if run.origin == WELCOME:
        with st.container(horizontal=True, vertical_alignment="center", key="invitation"):
            st.markdown(say("cure.invitation"), width="content")
            _button("show", RunConfig.parse(DYING), run, icon=":material/heart_broken:")
    elif run.reason == "collapsed":
        with st.container(horizontal=True, vertical_alignment="center", key="cures"):
            st.markdown(f"**{say('cure.title')}**", width="content")
            config = _as_it_ended(run)
            for name, change in cures(config).items():
                cured = RunConfig.parse(config.model_dump() | change)
                _button(name, cured, run, icon=":material/healing:", **change)
            st.page_link(
                page_file("lessons"),
                label=say("cure.why"),
                icon=":material/school:",
                query_params={"lesson": LESSON, "lang": st.session_state["lang"]},
            )


def _as_it_ended(run: Run) -> RunConfig:
    """Return the run's config with its live changes, except a freeze."""
    changes = the_store().changes(run.id)
    return RunConfig.parse(run.config.model_dump() | changes | {"freeze_at": run.config.freeze_at})


def _button(name: str, config: RunConfig, run: Run, icon: str, **change: Any) -> None:
    word = f"cure.floor.{next(iter(change))}" if name == "floor" else f"cure.{name}"
    about = f"cure.{name}.help"
    if name in methods():
        word, about = f"method.{name}", f"card.method.{name}.about"
    st.button(
        say(word, n=next(iter(change.values()), "")),
        icon=icon,
        key=f"cure_{name}",
        help=say(about),
        **press(_train, run, config),
    )


def _train(run: Run, config: RunConfig) -> None:
    """Start the run and set the controls to its settings."""
    if train(run.id, config):
        for name, value in config.model_dump().items():
            put(name, value)
