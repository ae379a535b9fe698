"""A density that is found, not chosen: the smallest ρ within a tolerance of dense."""

from __future__ import annotations

import streamlit as st

from sparsecore.dashboard import bisections
from sparsecore.dashboard.bisections import Finding
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import attempt, visitor
from sparsecore.figures.style import exact
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps.bisection import Smallest
from sparsecore.runs.sweeps.spec import SweepSpec

TOLERANCE, METHOD = "smallest_tolerance", "smallest_method"
USUAL_TOLERANCE = 5.0  # percent of the dense metric
LIVE_SECONDS = 1.0


def smallest(spec: SweepSpec | None) -> None:
    """Ask for the smallest ρ that is nearly as good as dense, and see it found."""
    st.markdown(f"**{say('smallest.title')}**", help=say("smallest.help"))
    with st.container(horizontal=True, vertical_alignment="bottom", key="smallest"):
        st.number_input(
            say("smallest.tolerance"),
            0.0,
            1000.0,
            USUAL_TOLERANCE,
            1.0,
            format="%g",
            key=TOLERANCE,
            width=260,
        )
        methods = ("layerwise", "global")
        options = {"required": True, "default": methods[0], "key": METHOD}
        st.segmented_control(
            say("sweep.methods"), methods, format_func=lambda name: say(f"method.{name}"), **options
        )
        question = _question(spec)
        going = question and bisections.asked(*question)
        words = {"label": say("smallest.find"), "help": say("smallest.find.help")}
        pressed = st.button(**words, icon=":material/search:", disabled=question is None, key="smallest_find")
    if pressed and question:
        going = bisections.ask(*question, visitor())
    if question:
        st.fragment(_state, run_every=LIVE_SECONDS if going and going.is_alive() else None)(*question)


def _question(spec: SweepSpec | None) -> tuple | None:
    """The store, the spec with one method, and the tolerance as a share; None while one does not fit."""
    tolerance = st.session_state[TOLERANCE]
    if spec is None or tolerance is None:
        return None
    one = spec.model_copy(update={"methods": (st.session_state[METHOD],), "densities": (1.0,)})
    return the_store(), one, tolerance / 100


def _state(store: Store, spec: SweepSpec, tolerance: float) -> None:
    finding = bisections.asked(store, spec, tolerance)
    if finding is None:
        return
    if finding.is_alive():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(_looking(finding))
            person = visitor()
            words = {} if (his := person.may(finding.by.owner)) else {"help": say("owner.others.help")}
            stop = {"icon": ":material/stop:", "key": "smallest_stop", "disabled": not his}
            if st.button(say("sweep.stop"), **stop, **words):
                attempt(finding.cancel, person)
    elif finding.answer:
        _answered(finding.answer)
    elif finding.problem:
        st.error(say("smallest.problem", reason=finding.problem))


def _looking(finding: Finding) -> str:
    values = {"density": f"{finding.density:g}", "done": finding.ended, "total": finding.cells}
    return say("smallest.looking", **values)


def _answered(found: Smallest) -> None:
    values = {"dense": exact(found.dense), "bound": exact(found.bound)}
    metric = say(f"live.metric.{found.metric}")
    st.success(say("smallest.found", density=f"{found.density:g}", metric=metric, **values))
    st.dataframe(
        [
            {"density": row.density, "test": row.test, "within": row.within}
            for row in sorted(found.evaluated, key=lambda row: -row.density)
        ],
        hide_index=True,
        height="content",
        width=420,
        column_config={
            "density": st.column_config.NumberColumn("ρ", format="%g"),
            "test": st.column_config.NumberColumn(say("sweep.table.test"), format="%.4f"),
            "within": say("smallest.within"),
        },
    )
