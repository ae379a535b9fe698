"""The list of runs: filters, and a table of matching runs; a click selects one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import ownership
from sparsecore.engine.cards import methods, tasks
from sparsecore.runs.store.catalogue import STATES, RunFilter, count, find
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.run import Run

SHOWN = 200
CHOSEN = "archive_run"  # in the session: the run that is chosen, by the table or by name
TABLE, LISTED = "run_table", "run_listed"  # in the session: the table, and the ids of its rows
COLUMNS = ("name", "run", "task", "size", "method", "seed", "state", "metric", "origin", "whose", "note")
ROWS_IN_FULL = 14  # a longer table scrolls, so that what follows stays in reach


def wanted(person: Person) -> RunFilter:
    """Draw the row of filters."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="run_filters"):
        text = st.text_input(
            say("runs.search"),
            key="runs_search",
            placeholder=say("runs.search.hint"),
            icon=":material/search:",
            width=260,
        )
        task = _choice("task", list(tasks()))
        method = _choice("method", list(methods()))
        state = _choice("state", STATES)
        only = st.pills(
            say("runs.only"),
            ["mine", "pinned"],
            format_func=lambda name: say(f"runs.only.{name}"),
            selection_mode="multi",
            key="runs_only",
            label_visibility="collapsed",
        )
    owner = person.owner if "mine" in only else None
    return RunFilter(text, task, method, state, owner, pinned="pinned" in only)


def _choice(name: str, options: Sequence[str]) -> str | None:
    names = {value: say(f"{name}.{value}") for value in options}
    return st.selectbox(
        say(f"runs.{name}"),
        list(names),
        index=None,
        format_func=names.get,
        placeholder=say("runs.any"),
        key=f"runs_{name}",
        width=150,
    )


def show(filters: RunFilter, person: Person) -> list[Run]:
    """Draw the table of matching runs, at most `SHOWN`, and return them."""
    store = the_store()
    found = find(store, filters, SHOWN)
    everything = filters == RunFilter()
    if not found:
        st.info(say("runs.empty" if everything and not count(store, RunFilter()) else "runs.none"))
        return found
    number = count(store, filters) if len(found) == SHOWN else len(found)
    st.caption(say("runs.count", shown=f"{len(found):,}", number=f"{number:,}"))
    st.session_state[LISTED] = [run.id for run in found]
    st.dataframe(
        [_row(run, person) for run in found],
        key=TABLE,
        on_select=_choose,
        selection_mode="single-row",
        hide_index=True,
        height="content" if len(found) < ROWS_IN_FULL else 460,
        column_config=_columns(),
        column_order=_order(found),
    )
    return found


def _choose() -> None:
    rows = st.session_state[TABLE].selection.rows
    listed = st.session_state.get(LISTED, [])
    st.session_state[CHOSEN] = listed[rows[0]] if rows and rows[0] < len(listed) else None


def _row(run: Run, person: Person) -> dict[str, Any]:
    test = (run.result or {}).get("metrics", {}).get("test", {})
    name, value = next(iter(test.items()), ("", None))  # the task's own metric is the first
    return {
        "open": f"/?run={run.id}&lang={st.session_state['lang']}",
        "pinned": bool(run.pinned),
        "name": run.name or "",
        "run": run.id,
        "task": say(f"task.{run.config.task}"),
        "size": say(f"size.{run.config.size}"),
        "method": say(f"method.{run.config.method}"),
        "density": run.config.density,
        "seed": run.config.seed,
        "state": say(f"state.{run.reason or run.state}"),
        "step": run.step,
        "metric": "" if value is None else f"{say(f'live.metric.{name}')} {value:.4f}",
        "origin": say(f"origin.{run.origin}"),
        "whose": say(f"owner.{ownership(run, person)}"),
        "note": (run.note or "").replace("\n", " "),
    }


def _order(found: Sequence[Run]) -> list[str]:
    """Hide columns that are empty for all rows."""
    used = {
        "pinned": any(run.pinned for run in found),
        "name": any(run.name for run in found),
        "note": any(run.note for run in found),
    }
    return [column for column in _row(found[0], Person(None)) if used.get(column, True)]


def _columns() -> dict[str, Any]:
    return {
        "open": st.column_config.LinkColumn(say("runs.open"), display_text=say("runs.open")),
        "pinned": st.column_config.CheckboxColumn(say("runs.pinned"), width="small"),
        "density": st.column_config.NumberColumn("ρ", format="%g"),
        "step": st.column_config.NumberColumn(say("runs.step"), format="localized"),
        **{name: say(f"runs.{name}") for name in COLUMNS},
    }
