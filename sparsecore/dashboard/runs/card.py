"""The runs selected on the Runs page: name and note, differences, pin, delete, undo, and exports of one."""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from sparsecore.dashboard.controls import plain, say, worded
from sparsecore.dashboard.runs import files
from sparsecore.dashboard.runs.list import CHOSEN, choose_by_name
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import attempt, hint, may, visitor
from sparsecore.dashboard.widgets import label
from sparsecore.engine.config import every_parameter
from sparsecore.figures.reports.paper import parameter_text
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.run import Run

UNDOABLE = 8  # of the runs that were deleted last


def show(found: Sequence[Run]) -> None:
    """Select runs by name too, and what can be done with one or with several."""
    runs = _chosen(found)
    if not runs:
        return
    with st.container(border=True, key="run_card"):
        if len(runs) == 1:
            _described(runs[0])
        else:
            _compared(runs)
        _buttons(runs)
        if len(runs) == 1:
            files.show(runs[0])


def _chosen(found: Sequence[Run]) -> list[Run]:
    store, known = the_store(), {run.id: run for run in found}
    chosen = st.session_state.get(CHOSEN, [])
    # What was selected stays selected while something else is looked for.
    others = (store.get(run_id) for run_id in chosen if run_id not in known)
    known = {run.id: run for run in others if run is not None} | known
    st.session_state[CHOSEN] = [run_id for run_id in chosen if run_id in known]
    if not known:
        return []
    # Not their names: the browser keeps an option by its words, and would lose one that is renamed.
    names = {name: f"{say(f'task.{run.config.task}')} · {label(run)}" for name, run in known.items()}
    options = {"format_func": names.get, "placeholder": say("archive.choose"), "on_change": choose_by_name}
    picked = st.multiselect(say("runs.chosen"), list(names), key=CHOSEN, **options)
    return [known[run_id] for run_id in picked]


def _described(run: Run) -> None:
    """Show name and note, editable by those with the right."""
    mine = may(run)
    name, note = f"run_name_{run.id}", f"run_note_{run.id}"
    st.session_state.setdefault(name, run.name or "")
    st.session_state.setdefault(note, run.note or "")
    for show, field, key, options in (
        (st.text_input, "name", name, {"max_chars": catalogue.NAME_CHARACTERS}),
        (st.text_area, "note", note, {"max_chars": catalogue.NOTE_CHARACTERS, "height": 88}),
    ):
        options |= {"disabled": not mine, "on_change": _describe, "args": (run.id, field, key)}
        show(say(f"runs.{field}"), key=key, **options)
    if not mine:
        st.caption(hint(run, ""))


def _compared(runs: Sequence[Run]) -> None:
    """Show the settings in which the runs differ, a row per run."""
    used = [run.config.used() for run in runs]
    names = dict.fromkeys(name for values in used for name in values)
    differing = [name for name in names if len({str(values.get(name)) for values in used}) > 1]
    st.markdown(f"**{say('runs.differences')}**")
    rows = [
        {"run": run.name or run.id}
        | {name: parameter_text(name, values[name], say) if name in values else "" for name in differing}
        for run, values in zip(runs, used, strict=True)
    ]
    heads = {name: say(every_parameter()[name].label_key) for name in differing}
    st.dataframe(rows, hide_index=True, height="content", column_config={"run": say("runs.run")} | heads)


def _buttons(runs: Sequence[Run]) -> None:
    """Open, compare, pin, delete; pin and delete those of them that the visitor may change."""
    mine, first, lang = [run for run in runs if may(run)], runs[0], st.session_state["lang"]
    minutes = f"{catalogue.UNDO_SECONDS / 60:g}"
    some = "" if len(mine) == len(runs) else say("runs.some", mine=len(mine), all=len(runs))
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(runs) == 1:
            address = f"./?run={first.id}&lang={lang}"
            st.link_button(say("runs.open"), address, icon=":material/open_in_new:")
        if len(runs) <= 2:
            pair = "&".join(f"{side}={run.id}" for side, run in zip("ab", runs, strict=False))
            st.link_button(
                **worded("runs.compare"), url=f"./compare?{pair}&lang={lang}", icon=":material/compare:"
            )
        pinned = all(run.pinned for run in runs)
        for word, act, icon, usual in (
            (
                "runs.unpin" if pinned else "runs.pin",
                partial(catalogue.pin, pinned=not pinned),
                ":material/keep_off:" if pinned else ":material/keep:",
                say("runs.pin.help"),
            ),
            ("runs.delete", catalogue.remove, ":material/delete:", say("runs.delete.help", minutes=minutes)),
        ):
            st.button(
                say(word),
                icon=icon,
                help=f"{usual} {some}" if mine else hint(first, ""),
                key="run_delete" if act is catalogue.remove else "run_pin",
                disabled=not mine,
                on_click=_change,
                args=(act, [run.id for run in mine]),
            )


def _describe(run_id: str, field: str, key: str) -> None:
    _change(catalogue.describe, [run_id], **{field: st.session_state[key]})


def _restore(run_id: str) -> None:
    _change(catalogue.restore, [run_id])
    st.session_state[CHOSEN] = [run_id]
    choose_by_name()


def _change(act: Callable[..., None], run_ids: Sequence[str], **values: object) -> None:
    """Do this with runs, as whoever the visitor is now.

    A run that somebody has erased meanwhile is off the list when the page is drawn anew.
    """
    for run_id in run_ids:
        try:
            attempt(act, the_store(), run_id, by=visitor(), **values)
        except KeyError:
            st.toast(say("runs.gone", run=run_id))


def undo(person: Person) -> None:
    """The runs that were deleted last, each with its way back."""
    for run in catalogue.recently_deleted(the_store(), person, limit=UNDOABLE):
        with st.container(horizontal=True, vertical_alignment="center", key=f"undo_{run.id}"):
            st.markdown(say("runs.deleted", run=plain(run.name or run.id)), width="content")
            st.button(
                say("runs.undo"),
                icon=":material/undo:",
                key=f"undo_{run.id}_button",
                on_click=_restore,
                args=(run.id,),
            )
