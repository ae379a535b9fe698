"""The Compare page: the choice of two runs, and both at one step."""

from collections.abc import Iterable
from typing import Any

import streamlit as st

from sparsecore.dashboard.controls import hold, plain, say, worded
from sparsecore.dashboard.live_view import leave_to_watch, view_data
from sparsecore.dashboard.server.components import place
from sparsecore.dashboard.session import note_begun, put_in_address, the_store
from sparsecore.dashboard.visitor import attempt, visitor
from sparsecore.dashboard.widgets import label, short
from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig
from sparsecore.runs.insights.pairs import closest_run, has_started, missing_configs, newest_pair
from sparsecore.runs.store.catalogue import RunFilter, count, find
from sparsecore.runs.store.run import Run

FIRST, SECOND, STEP = "a", "b", "step"  # in the address
PAIR = "compare_pair"  # in the session: what the address forgets when another page is opened
TASK, SEARCH = "compare_task", "compare_search"
SWAPS = "compare_swaps"  # in the session: how often the two changed places; after each the lists are new ones
LISTED = 200
LOOKED_THROUGH = 400  # of the newest runs, for a pair


def chosen() -> tuple[Run | None, Run | None]:
    """Return the two runs of the address, else the last viewed pair; a missing one is suggested.

    The address is updated. The second is None if no run matches the first; both are None without runs, and
    where the address names unknown runs only.
    """
    linked = [st.query_params.get(name, "") for name in (FIRST, SECOND)]
    if not any(linked):
        linked = st.session_state.get(PAIR, ["", ""])
    first, second = ((the_store().get(run_id) if run_id else None) for run_id in linked)
    for run_id, run in zip(linked, (first, second), strict=True):
        if run_id and run is None:
            other = "" if first or second else ".none"
            st.warning(say(f"compare.missing{other}", run=plain(run_id)))
    if any(linked) and not (first or second):
        return None, None
    if first and second and first.id == second.id:
        second = None
    first, second = _paired(first, second, the_store().list(limit=LOOKED_THROUGH))
    _open(first, second)
    return first, second


def _paired(first: Run | None, second: Run | None, recent: list[Run]) -> tuple[Run | None, Run | None]:
    if first and second:
        return first, second
    if first:
        return first, closest_run(first, recent)
    if second:
        other = closest_run(second, recent)
        return (other, second) if other else (second, None)
    return newest_pair(recent) or (next(filter(has_started, recent), None), None)


def _open(first: Run | None, second: Run | None) -> None:
    """View these runs from now on and put them into the address."""
    ids = {FIRST: first.id if first else "", SECOND: second.id if second else ""}
    st.session_state[PAIR] = list(ids.values())
    put_in_address({name: run_id or None for name, run_id in ids.items()})


def turn_to_step(step: int | None) -> None:
    """Put the viewed step into the address; None is the newest."""
    put_in_address({STEP: None if step is None else str(step)})


def names_runs() -> bool:
    """Whether the address names runs."""
    return FIRST in st.query_params or SECOND in st.query_params


def choose(first: Run | None, second: Run | None) -> None:
    """Draw the controls that choose the task and the runs, and swap them; None is a run not chosen yet."""
    store, task = the_store(), first.config.task if first else st.session_state.get(TASK, next(iter(tasks())))
    with st.container(horizontal=True, vertical_alignment="bottom", key="compare_choice"):
        _task(task)
        text = st.text_input(
            say("runs.search"),
            key=SEARCH,
            placeholder=say("runs.search.hint"),
            icon=":material/search:",
            width=160,
        )
        found = find(store, RunFilter(text, task), LISTED)
        _run(FIRST, first, found)
        st.button(
            **worded("compare.swap"),
            icon=":material/swap_horiz:",
            key="compare_swap",
            disabled=second is None,
            on_click=_swap,
        )
        _run(SECOND, second, found)
    if text and not found:
        st.caption(say("runs.none"))


def _task(task: str) -> None:
    """Draw the choice among tasks that have runs."""
    known = [name for name in tasks() if name == task or count(the_store(), RunFilter(task=name))]
    names = {name: say(f"task.{name}") for name in known}
    hold(TASK, task)

    def turn() -> None:
        runs = find(the_store(), RunFilter(task=st.session_state[TASK]), LISTED)
        turn_to_step(None)
        _open(*newest_pair(runs) or (next(iter(runs), None), None))

    st.segmented_control(
        say("parameter.task"), known, format_func=names.get, required=True, key=TASK, on_change=turn
    )


def _run(place: str, run: Run | None, found: Iterable[Run]) -> None:
    known = {each.id: label(each) for each in (*([run] if run else []), *found)}
    # A busy browser may still send the old choice of a list: of one that is no more it changes nothing back.
    key = f"compare_{place}_{st.session_state.get(SWAPS, 0)}"
    hold(key, run.id if run else None)
    st.selectbox(
        say(f"compare.run.{place}"),
        list(known),
        format_func=known.get,
        index=0 if run else None,
        placeholder=say("archive.choose"),
        key=key,
        width="stretch",
        on_change=lambda: _turn(place, st.session_state[key]),
    )


def _turn(place: str, run_id: str) -> None:
    """Put a run on one side; if it is on the other side already, swap."""
    other = SECOND if place == FIRST else FIRST
    if st.query_params.get(other) == run_id:
        _swap()
    else:
        if the_store().get(st.query_params.get(other, "")) is None:
            st.query_params.pop(other, None)
        st.query_params[place] = run_id


def _swap() -> None:
    first, second = st.query_params.get(FIRST, ""), st.query_params.get(SECOND, "")
    put_in_address({FIRST: second, SECOND: first})
    st.session_state[SWAPS] = st.session_state.get(SWAPS, 0) + 1


def offer(run: Run | None) -> None:
    """Offer to train a comparable pair if there is none."""
    configs = missing_configs(run)
    with st.container(border=True, key="compare_empty"):
        if run is None:
            st.markdown(f"**{say('compare.empty')}**")
            st.markdown(say("compare.empty.both"))
            words = say("compare.train.both")
        else:
            values = {"run": plain(label(run)), "task": say(f"task.{run.config.task}")}
            method = say(f"method.{configs[0].method}")
            st.markdown(f"**{say('compare.empty.one', **values)}**")
            st.markdown(say("compare.empty.other", method=method))
            words = say("compare.train.other", method=method)
        st.button(
            words,
            icon=":material/play_arrow:",
            type="primary",
            key="compare_train",
            on_click=_begin,
            args=(run, configs),
        )


def _begin(run: Run | None, configs: list[RunConfig]) -> None:
    ids = [run.id] if run else []
    for config in configs:
        begun = attempt(the_store().create, config, by=visitor())
        if begun is None:
            break
        note_begun(begun)
        ids.append(begun)
    put_in_address(dict(zip((FIRST, SECOND), ids, strict=False)))


KEY = "compare_view"


def compare_view(first: Run, second: Run) -> None:
    """Show two runs of one task, live while they train; the viewed step goes into the address."""
    props = {"a": _told(first), "b": _told(second), "step": _asked_step()} | view_data("compare.")
    place("compare/view.js", KEY, props, on_step_change=_follow_step)


def _follow_step() -> None:
    turn_to_step(st.session_state[KEY].get("step"))


def _told(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "token": leave_to_watch(run.id),
        "name": run.name or short(run),
        "address": f"./?run={run.id}&lang={st.session_state['lang']}",
    }


def _asked_step() -> int | None:
    linked = st.query_params.get(STEP, "")
    return int(linked) if linked.isascii() and linked.isdigit() and len(linked) < 10 else None
