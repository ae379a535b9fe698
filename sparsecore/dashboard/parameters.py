"""The widgets of parameters, made from the rows of their table, in columns by what they are about."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

import streamlit as st

from sparsecore.dashboard import controls
from sparsecore.dashboard.controls import problem, put, say
from sparsecore.dashboard.data import kept
from sparsecore.dashboard.lab.transport import devices
from sparsecore.dashboard.session import the_store
from sparsecore.engine.cards import tasks
from sparsecore.engine.config import PAPER_DENSITIES, PARAMETERS, SCHEDULE, used_parameters
from sparsecore.engine.parameters import Parameter

GROUPS = ("task", "training", "constraint")
MOST_SEGMENTS = 6  # of more the row would be wider than a page


def _show(row: Parameter) -> dict[str, Any]:
    """What every widget of a parameter is given; notes that it is on the screen."""
    st.session_state[controls.SHOWING] |= {row.name}
    if row.name not in PARAMETERS and st.session_state.get(row.name) is None:
        put(row.name, row.default)  # brought by a method or a task that has only now been chosen
    return {"label": say(row.label_key), "help": say(row.help_key), "key": row.name}


def choice(name: str, on_change: Callable[[], None] | None = None) -> None:
    """One of the choices of task, method or size: as a row of segments, or as a list where there are many."""
    options = list(tasks()[st.session_state["task"]].sizes if name == "size" else PARAMETERS[name].choices)
    given = _show(PARAMETERS[name]) | {"options": options, "on_change": on_change}
    given["format_func"] = lambda value: say(f"{name}.{value}")
    if len(options) <= MOST_SEGMENTS:
        st.segmented_control(**given, required=True)
    else:
        st.selectbox(**given)
    problem(name)


def density_slider() -> None:
    """Show ρ over the paper's values and the present one; the label adds the sparsity, 1 − ρ."""
    density = st.session_state["density"]
    sparsity = say("live.sparsity", share=f"{100 * (1 - density):.3g}")
    words = _show(PARAMETERS["density"]) | {"label": f"{say('parameter.density')} · {sparsity}"}
    st.select_slider(**words, options=sorted({*PAPER_DENSITIES, density}), format_func="{:g}".format)
    problem("density")


def columns(names: Iterable[str], without: Collection[str] = ()) -> None:
    """A column for each group of parameters of the chosen task and these methods."""
    task = st.session_state["task"]
    used = {name: row for method in names for name, row in used_parameters(task, method).items()}
    rows = {name: row for name, row in used.items() if name not in without}
    shown = {group: [row for row in rows.values() if row.group == group] for group in GROUPS}
    drawn = [group for group in GROUPS if shown[group] or group == "constraint"]
    for column, group in zip(st.columns(len(drawn)), drawn, strict=True):
        with column:
            st.caption(say(f"task.{task}" if group == "task" else f"more.{group}"))
            if not shown[group]:
                st.write(say("rule.none"))
            for row in shown[group]:
                _widget(row)


def _widget(row: Parameter) -> None:
    if row.name in SCHEDULE and st.session_state["schedule"] == "constant":
        return
    if row.name == "noise" and st.session_state.get("data"):
        return  # kept texts have labels of their own
    if row.is_kept:
        kept.choose(the_store().home / "corpora", _show(row))
    elif row.name == "device":
        _selection(row, devices(the_store()))
    elif row.choices:
        _selection(row, {choice: say(row.choice_key(choice)) for choice in row.choices})
    elif row.kind is str:
        st.text_input(**_show(row))
    else:
        st.number_input(**_show(row), value=None, step=row.step, format="%g" if row.kind is float else "%d")
    if not row.is_kept:
        problem(row.name)


def _selection(row: Parameter, options: dict[str, str]) -> None:
    """One of many, each with a name for people."""
    st.selectbox(**_show(row), options=options, format_func=lambda value: options.get(value, value))
