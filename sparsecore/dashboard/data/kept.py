"""Stored texts: choose them for a run, list and remove them."""

import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.storage import (
    StoredCorpus,
    lookup,
    remove,
    removed_corpora,
    restore,
    saved_at,
    stored_corpora,
)
from sparsecore.dashboard import controls, widgets
from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.data.incoming import JUST_KEPT, facts, grades, translated
from sparsecore.dashboard.visitor import attempt, refuse, visitor
from sparsecore.engine.cards import tasks
from sparsecore.runs.store.catalogue import UNDO_SECONDS
from sparsecore.runs.store.people import Person

UNDOABLE = 3  # of the texts that were removed last
MINUTES = f"{UNDO_SECONDS / 60:g}"


def choose(folder: Path, shown: dict[str, Any]) -> None:
    """Choose the texts of a run, stored or built in; `shown` goes to the widget."""
    options = {each.id: f"{each.name} ({each.inspection.rows:,})" for each in stored_corpora(folder)}
    chosen = st.session_state.get("data")
    if chosen is not None:
        options.setdefault(chosen, chosen)  # of a link: the field below says that it is gone
    st.selectbox(
        **shown,
        options=options,
        index=None,
        format_func=lambda value: options.get(value, value),
        placeholder=say("data.builtin"),
        on_change=_no_noise,
    )
    controls.problem("data")
    if chosen is None:
        st.caption(say("data.builtin.help"))


def _no_noise() -> None:
    if st.session_state["data"] is not None:
        controls.put("noise", 0.0)


def name_of(key: str, folder: Path) -> str:
    """Return the name of stored texts; the id if they are gone."""
    found = lookup(key, folder)
    return found.name if found else key


def train_on(key: str) -> None:
    """Set up a run on kept texts, for the Lab."""
    controls.put("task", next(name for name, card in tasks().items() if card.reads_texts))
    controls.follow_task()
    controls.put("data", key)
    controls.put("noise", 0.0)


def listed(folder: Path) -> str | None:
    """List the stored texts with their actions; returns the id of the texts to train on, once pressed."""
    found = sorted(stored_corpora(folder), key=lambda each: -saved_at(each.id, folder))
    person = visitor()
    _undo(folder, person)
    if not found:
        st.info(say("data.empty"))
    pressed = None
    for each in found:
        with st.container(border=True):
            pressed = each.id if _row(each, folder, person) else pressed
    return pressed


def _row(each: StoredCorpus, folder: Path, person: Person) -> bool:
    day = widgets.day(saved_at(each.id, folder))
    rows = say("data.rows.of", rows=f"{each.inspection.rows:,}", day=day)
    st.html(f'<p class="sp-kept"><b><bdi>{escape(each.name)}</bdi></b> <small>{escape(rows)}</small></p>')
    grades(each.inspection.labels, each.name, each.id)
    with st.expander(say("data.more")):
        st.html(facts(each.inspection))
    with st.container(horizontal=True):
        fresh = getattr(st.session_state.get(JUST_KEPT), "id", None) == each.id
        shade = "primary" if fresh else "secondary"
        train = st.button(say("data.train"), key=f"use_{each.id}", type=shade, icon=":material/science:")
        mine = person.may(each.owner)
        st.button(
            say("data.remove"),
            key=f"remove_{each.id}",
            icon=":material/delete:",
            help=say("runs.delete.help", minutes=MINUTES) if mine else say("data.remove.others"),
            disabled=not mine,
            on_click=_change,
            args=(remove, each, folder),
        )
    return train


def _undo(folder: Path, person: Person) -> None:
    """Show the texts that were removed last, each with its Undo."""
    fresh = time.time() - UNDO_SECONDS
    found = [each for each in removed_corpora(folder) if each.removed > fresh and person.may(each.owner)]
    for each in found[:UNDOABLE]:
        with st.container(horizontal=True, vertical_alignment="center", key=f"undo_{each.id}"):
            st.markdown(say("runs.deleted", run=plain(each.name)), width="content")
            st.button(
                say("runs.undo"),
                icon=":material/undo:",
                key=f"undo_{each.id}_button",
                on_click=_change,
                args=(restore, each, folder),
            )


def _change(act: Callable[[str, Path], Any], each: StoredCorpus, folder: Path) -> None:
    """Remove or restore texts, as whoever the visitor is now; the page says why if it cannot be done."""

    def change() -> None:
        visitor().require(each.owner, "page", f"data set {each.name}")
        act(each.id, folder)

    st.session_state[JUST_KEPT] = None
    try:
        attempt(change)
    except CorpusError as error:  # another session was quicker, or has used the name
        refuse(translated(error))
    if act is remove and st.session_state.get("data") == each.id:
        controls.put("data", None)
