"""The list of runs: filters, and a table of matching runs; a click selects one."""

import zlib
from collections.abc import Sequence
from datetime import datetime
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
CHOSEN = "archive_runs"  # in the session: the ids of the selected runs, in the table or by name
TABLE, TURN = "run_table", "run_turn"  # in the session: the table, and how often it was selected elsewhere
COLUMNS = ("name", "run", "task", "size", "method", "seed", "state", "origin", "whose", "note")
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
    words = "runs.count.all" if len(found) == number else "runs.count"
    st.caption(say(words, shown=f"{len(found):,}", number=f"{number:,}"))
    listed, chosen = [run.id for run in found], st.session_state.get(CHOSEN, [])
    # Rows are selected by their place: other rows, or runs selected by name, make another table.
    key = f"{TABLE}_{zlib.crc32(' '.join(listed).encode()):x}_{st.session_state.get(TURN, 0)}"
    rows = [place for place, run_id in enumerate(listed) if run_id in chosen]
    metrics = list(dict.fromkeys(name for run in found for name, _ in _metric(run)))
    st.dataframe(
        [_row(run, person) for run in found],
        key=key,
        on_select=lambda: _choose(key, listed),
        selection_mode="multi-row",
        selection_default={"selection": {"rows": rows}},
        hide_index=True,
        placeholder="",
        height="content" if len(found) < ROWS_IN_FULL else 460,
        column_config=_columns(metrics),
        column_order=_order(found, metrics),
    )
    return found


def _choose(key: str, listed: Sequence[str]) -> None:
    """Select the marked rows, and keep what is selected and not listed."""
    kept = [run_id for run_id in st.session_state.get(CHOSEN, []) if run_id not in listed]
    rows = st.session_state[key].selection.rows
    st.session_state[CHOSEN] = kept + [listed[row] for row in rows if row < len(listed)]


def choose_by_name() -> None:
    """Note that the selection was changed outside the table, which then shows it."""
    st.session_state[TURN] = st.session_state.get(TURN, 0) + 1


def _metric(run: Run) -> list[tuple[str, float]]:
    """The task's own metric on the test set, which is the first; empty before the end."""
    return list((run.result or {}).get("metrics", {}).get("test", {}).items())[:1]


def _row(run: Run, person: Person) -> dict[str, Any]:
    result = run.result or {}
    return {
        "open": f"./?run={run.id}&lang={st.session_state['lang']}",
        "pinned": bool(run.pinned),
        "name": run.name or "",
        "run": run.id,
        "created": datetime.fromtimestamp(run.created).replace(microsecond=0),
        "task": say(f"task.{run.config.task}"),
        "size": say(f"size.{run.config.size}"),
        "method": say(f"method.{run.config.method}"),
        "density": run.config.used().get("density"),
        "seed": run.config.seed,
        "state": say(f"state.{run.reason or run.state}"),
        **{f"test_{name}": value for name, value in _metric(run)},
        "nonzeros": run.nonzeros,
        "step": run.step,
        "seconds": result.get("seconds"),
        "origin": say(f"origin.{run.origin}"),
        "whose": say(f"owner.{ownership(run, person)}"),
        "note": (run.note or "").replace("\n", " "),
    }


def _order(found: Sequence[Run], metrics: Sequence[str]) -> list[str]:
    """The columns, without those that are empty for all rows."""
    used = {name: any(getattr(run, name) for run in found) for name in ("pinned", "name", "note")}
    columns = [column for column in _row(found[0], Person(None)) if not column.startswith("test_")]
    at = columns.index("nonzeros")
    columns[at:at] = [f"test_{name}" for name in metrics]
    return [column for column in columns if used.get(column, True)]


def _columns(metrics: Sequence[str]) -> dict[str, Any]:
    number = st.column_config.NumberColumn
    formats = {"step": "localized", "seconds": "%.1f", "nonzeros": "localized"}
    helps = {name: say(f"runs.{name}.help") for name in ("seconds", "nonzeros")}
    tested = {name: say("runs.test", metric=say(f"live.metric.{name}")) for name in metrics}
    return {
        "open": st.column_config.LinkColumn(say("runs.open"), display_text=say("runs.open")),
        "pinned": st.column_config.CheckboxColumn(say("runs.pinned"), width="small"),
        "density": number("ρ", format="%g"),
        "created": st.column_config.DatetimeColumn(say("runs.created"), format="YYYY-MM-DD HH:mm"),
        **{name: number(say(f"runs.{name}"), format=f, help=helps.get(name)) for name, f in formats.items()},
        **{f"test_{name}": number(title, format="%.4f") for name, title in tested.items()},
        **{name: say(f"runs.{name}") for name in COLUMNS},
    }
