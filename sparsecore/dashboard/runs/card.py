"""The run that is chosen on the Runs page: its name and note, pin, delete, undo, and what to take away."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.labels import label
from sparsecore.dashboard.runs import files
from sparsecore.dashboard.runs.list import CHOSEN
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import attempt, hint, may
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.run import Run


def show(found: Sequence[Run], person: Person) -> None:
    """Choose one of the runs that are listed, by name too, and what can be done with it."""
    run = _chosen(found)
    if run is None:
        return
    with st.container(border=True, key="run_card"):
        _described(run, person)
        files.show(run)


def _chosen(found: Sequence[Run]) -> Run | None:
    store, chosen = the_store(), st.session_state.get(CHOSEN)
    known = {run.id: run for run in found}
    if chosen is not None and chosen not in known:
        # What the table chose stays chosen while something else is looked for.
        other = store.get(chosen)
        known = known if other is None else {chosen: other} | known
        st.session_state[CHOSEN] = chosen if other is not None else None
    if not known:
        return None
    # Not their names: the browser keeps an option by its words, and would lose one that is renamed.
    names = {name: f"{say(f'task.{run.config.task}')} · {label(run)}" for name, run in known.items()}
    options = {"format_func": names.get, "index": None, "placeholder": say("archive.choose")}
    return known.get(st.selectbox(say("runs.chosen"), list(names), key=CHOSEN, **options))


def _described(run: Run, person: Person) -> None:
    """Show name and note, editable by those with the right."""
    mine = may(run)
    name, note = f"run_name_{run.id}", f"run_note_{run.id}"
    st.session_state.setdefault(name, run.name or "")
    st.session_state.setdefault(note, run.note or "")
    st.text_input(
        say("runs.name"),
        key=name,
        max_chars=catalogue.NAME_CHARACTERS,
        disabled=not mine,
        on_change=_describe,
        args=(run.id, "name", name, person),
    )
    st.text_area(
        say("runs.note"),
        key=note,
        max_chars=catalogue.NOTE_CHARACTERS,
        height=88,
        disabled=not mine,
        on_change=_describe,
        args=(run.id, "note", note, person),
    )
    if not mine:
        st.caption(hint(run, ""))
    _buttons(run, person, mine)


def _buttons(run: Run, person: Person, mine: bool) -> None:
    """Open, pin, delete."""
    with st.container(horizontal=True, vertical_alignment="center"):
        address = f"/?run={run.id}&lang={st.session_state['lang']}"
        st.link_button(say("runs.open"), address, icon=":material/open_in_new:")
        address = f"/compare?a={run.id}&lang={st.session_state['lang']}"
        st.link_button(say("runs.compare"), address, icon=":material/compare:", help=say("runs.compare.help"))
        pinned = bool(run.pinned)
        st.button(
            say("runs.unpin" if pinned else "runs.pin"),
            icon=":material/keep_off:" if pinned else ":material/keep:",
            help=hint(run, say("runs.pin.help")),
            key="run_pin",
            disabled=not mine,
            on_click=_act,
            args=("pin", run.id, person, not pinned),
        )
        st.button(
            say("runs.delete"),
            icon=":material/delete:",
            help=hint(run, say("runs.delete.help", minutes=f"{catalogue.UNDO_SECONDS / 60:g}")),
            key="run_delete",
            disabled=not mine,
            on_click=_act,
            args=("delete", run.id, person),
        )


def _describe(run_id: str, field: str, key: str, person: Person) -> None:
    _gone_is_fine(catalogue.describe, run_id, person, **{field: st.session_state[key]})


def _act(what: str, run_id: str, person: Person, pinned: bool = False) -> None:
    match what:
        case "pin":
            _gone_is_fine(catalogue.pin, run_id, person, pinned=pinned)
        case "delete":
            _gone_is_fine(catalogue.remove, run_id, person)
        case "restore":
            _gone_is_fine(catalogue.restore, run_id, person)
            st.session_state[CHOSEN] = run_id


def _gone_is_fine(act, run_id: str, person: Person, **values: object) -> None:
    """A run that somebody has erased meanwhile is off the list when the page is drawn anew."""
    try:
        attempt(act, the_store(), run_id, by=person, **values)
    except KeyError:
        st.toast(say("runs.gone", run=run_id))


def undo(person: Person) -> None:
    """The runs that were deleted last, each with its way back."""
    for run in catalogue.recently_deleted(the_store(), person, limit=3):
        with st.container(horizontal=True, vertical_alignment="center", key=f"undo_{run.id}"):
            st.markdown(say("runs.deleted", run=plain(run.name or run.id)), width="content")
            st.button(
                say("runs.undo"),
                icon=":material/undo:",
                key=f"undo_{run.id}_button",
                on_click=_act,
                args=("restore", run.id, person),
            )
