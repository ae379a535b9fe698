"""Stored texts: choose them for a run, list and remove them."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from sparsecore.corpora.corpus import CorpusError
from sparsecore.corpora.storage import StoredCorpus, remove, saved_at, stored_corpora
from sparsecore.dashboard import controls, widgets
from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.data.incoming import JUST_KEPT, facts, grades, translated
from sparsecore.engine.cards import tasks

REMOVING = "removing"  # in the session: the texts whose removal awaits confirmation
REFUSED = "remove_refused"


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


def train_on(key: str) -> None:
    """Set up a run on kept texts, for the Lab."""
    controls.put("task", next(name for name, card in tasks().items() if card.reads_texts))
    controls.follow_task()
    controls.put("data", key)
    controls.put("noise", 0.0)


def listed(folder: Path) -> str | None:
    """List the stored texts with their actions; returns the id of the texts to train on, once pressed."""
    found = sorted(stored_corpora(folder), key=lambda each: -saved_at(each.id, folder))
    if refused := st.session_state.pop(REFUSED, None):
        st.error(refused)
    if not found:
        st.info(say("data.empty"))
    pressed = None
    for each in found:
        with st.container(border=True):
            pressed = each.id if _row(each, folder) else pressed
    return pressed


def _row(each: StoredCorpus, folder: Path) -> bool:
    day = widgets.day(saved_at(each.id, folder))
    rows = say("data.rows.of", rows=f"{each.inspection.rows:,}", day=day)
    st.html(f'<p class="sp-kept"><b><bdi>{escape(each.name)}</bdi></b> <small>{escape(rows)}</small></p>')
    grades(each.inspection.labels, each.name, each.id)
    if st.session_state.get(REMOVING) == each.id:
        st.warning(say("data.remove.sure", name=plain(each.name)))
        with st.container(horizontal=True):
            sure = {"on_click": _remove, "args": (each.id, folder), "icon": ":material/delete:"}
            st.button(say("data.remove"), key=f"sure_{each.id}", **sure)
            st.button(say("data.remove.not"), key=f"not_{each.id}", on_click=_ask, args=(None,))
        return False
    with st.expander(say("data.more")):
        st.html(facts(each.inspection))
    with st.container(horizontal=True):
        fresh = getattr(st.session_state.get(JUST_KEPT), "id", None) == each.id
        shade = "primary" if fresh else "secondary"
        train = st.button(say("data.train"), key=f"use_{each.id}", type=shade, icon=":material/science:")
        ask = {"on_click": _ask, "args": (each.id,), "icon": ":material/delete:"}
        st.button(say("data.remove"), key=f"remove_{each.id}", **ask)
    return train


def _ask(key: str | None) -> None:
    st.session_state[REMOVING] = key


def _remove(key: str, folder: Path) -> None:
    st.session_state[REMOVING] = st.session_state[JUST_KEPT] = None
    try:
        remove(key, folder)
    except CorpusError as error:  # another session was quicker
        st.session_state[REFUSED] = translated(error)
    if st.session_state.get("data") == key:
        controls.put("data", None)
