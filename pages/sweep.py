"""Sweep: train a task with every method, density and seed of a grid, and see the metric against ρ."""

import streamlit as st

from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.sweep import bisection, form, layer_search, results
from sparsecore.dashboard.sweep.progress import earlier, linked_sweep, live, open_sweep
from sparsecore.dashboard.visitor import tell_refusal, visitor
from sparsecore.dashboard.widgets import page_header
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.results import points

ICON = ":material/grid_on:"
ORDER = 20

store = the_store()
sweep = linked_sweep()
cells = [] if sweep is None else stored.cells_of(store, sweep.spec)
form.fill(sweep)

page_header(say("sweep.title"))

form.choices()
spec, refusal = form.chosen_spec()
known = cells if spec is not None and sweep is not None and spec.is_alike(sweep.spec) else None
told, new = (refusal, 0) if spec is None else form.plan(spec, known)
with st.container(horizontal=True, vertical_alignment="center", key="sweep_begin"):
    # The small example is the first invitation; where all is trained, nothing is.
    button = {"type": "primary" if sweep is not None and new else "secondary", "disabled": spec is None}
    button |= {"icon": ":material/play_arrow:", "key": "sweep_start", "help": say("sweep.start.help")}
    pressed = st.button(say("sweep.start"), **button)
    if spec is None:
        st.error(refusal)
    else:
        st.markdown(f"{told} {form.differences(spec)}")
if pressed and spec is not None:
    open_sweep(stored.begin(store, spec, by=visitor()))
    st.rerun()

tell_refusal()
if "sweep" in st.query_params and sweep is None:
    st.warning(say("sweep.missing", sweep=plain(st.query_params["sweep"])))
if sweep is None:
    with st.container(horizontal=True, vertical_alignment="center", key="sweep_example"):
        example = {"icon": ":material/bolt:", "type": "primary", "help": say("sweep.example.help")}
        if st.button(say("sweep.example"), **example):
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
