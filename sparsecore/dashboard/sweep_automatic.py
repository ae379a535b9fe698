"""Densities that are found, not chosen: the smallest ρ within a tolerance, and the front of a search."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from sparsecore.dashboard import bisections
from sparsecore.dashboard.bisections import Finding
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import attempt, visitor
from sparsecore.figures import pareto
from sparsecore.figures.drawing import exact
from sparsecore.runs import sweeps
from sparsecore.runs.automatic import Smallest
from sparsecore.runs.curves import Point, points
from sparsecore.runs.store import Store
from sparsecore.runs.sweep import SweepSpec

TOLERANCE, METHOD = "smallest_tolerance", "smallest_method"
USUAL_TOLERANCE = 5.0  # percent of the dense metric
LOOKED_THROUGH, DRAWN = 400, 100  # of the newest sweeps, and of these the choices of a search that are drawn
LIVE_SECONDS = 1.0
SEARCH = "search"


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


def searched(spec: SweepSpec) -> list[Point]:
    """The finished runs of searches over densities a layer, of the same task and parameters as the sweep."""

    def shared(parameters: dict) -> dict:
        return {name: value for name, value in parameters.items() if name != "layer_densities"}

    alike = [
        each.spec
        for each in sweeps.recent(the_store(), LOOKED_THROUGH, SEARCH)
        if each.spec.task == spec.task and shared(each.spec.parameters) == shared(spec.parameters)
    ]
    return [point for each in alike[:DRAWN] for point in points(sweeps.cells_of(the_store(), each))]


def command(spec: SweepSpec) -> str:
    """What begins a search like this sweep, on the command line."""
    flags = {"seeds": ",".join(str(seed) for seed in spec.seeds)} | spec.parameters
    told = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in flags.items())
    return f"python -m sparsecore search {spec.task} {told} --trials 30"


def front_figure(spec: SweepSpec, found: list[Point], logarithmic: bool) -> go.Figure | None:
    """The Pareto front of the searches like this sweep, against its curves; None without a search."""
    tried = searched(spec)
    if not tried:
        return None
    return pareto(tried, found, metric=tried[0].metric, say=say, logarithmic=logarithmic)
