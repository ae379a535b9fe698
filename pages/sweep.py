"""Sweep: train a task with every method, density and seed of a grid, and see the metric against ρ."""

import streamlit as st

from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.lab.transport import language_switch
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.sweep import bisection, form, layer_search, results
from sparsecore.dashboard.sweep.progress import earlier, linked_sweep, live, open_sweep
from sparsecore.dashboard.visitor import tell_refusal, visitor
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.curves import points

ICON = ":material/grid_on:"
ORDER = 20

store = the_store()
sweep = linked_sweep()
cells = [] if sweep is None else stored.cells_of(store, sweep.spec)
form.fill(sweep)

with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.subheader(say("sweep.title"), anchor=False)
    language_switch()

form.choices()
spec, refusal = form.chosen_spec()
with st.container(horizontal=True, vertical_alignment="center", key="sweep_begin"):
    button = {"type": "primary", "icon": ":material/play_arrow:", "key": "sweep_start"}
    pressed = st.button(say("sweep.start"), help=say("sweep.start.help"), disabled=spec is None, **button)
    if spec is None:
        st.error(refusal)
    else:
        known = cells if sweep is not None and spec.is_alike(sweep.spec) else None
        st.markdown(f"{form.plan(spec, known)} {form.differences(spec)}")
if pressed and spec is not None:
    open_sweep(stored.begin(store, spec, by=visitor()))
    st.rerun()

tell_refusal()
if "sweep" in st.query_params and sweep is None:
    st.warning(say("sweep.missing", sweep=plain(st.query_params["sweep"])))
if sweep is None:
    with st.container(horizontal=True, vertical_alignment="center", key="sweep_example"):
        if st.button(say("sweep.example"), help=say("sweep.example.help"), icon=":material/bolt:"):
            open_sweep(stored.begin(store, form.EXAMPLE, by=visitor()))
            st.rerun()
        st.markdown(say("sweep.example.what"))
else:
    earlier(sweep)
    live(sweep, cells)
found = points(cells)

task = sweep.spec.task if sweep else st.session_state["task"]
name = f"sweep-{sweep.id}" if sweep else "sweep"
view = results.view_choices()
results.curves(found, task, view, name)
if sweep is not None:
    front = layer_search.front_figure(sweep.spec, found, view["axis"] == "log")
    if front is not None:
        results.draw(front, "pareto", name)
if found:
    st.caption(results.hints(found, sweep.spec))
    results.table(cells, sweep)
elif sweep is not None:
    st.caption(say("sweep.no_runs"))

bisection.smallest(spec)
layer_search.search(spec, sweep.spec if sweep else None, view)
