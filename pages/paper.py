"""Paper: the thesis's tables and figures, ours beside theirs, and why they differ."""

import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.paper import reproduce, results
from sparsecore.dashboard.widgets import page_header
from sparsecore.paper.comparison import compare
from sparsecore.paper.reproduction import load_shipped, load_shipped_pictures, plan_of
from sparsecore.paper.thesis import SORTING
from sparsecore.settings import ASSETS

ICON = ":material/article:"
ORDER = 30

st.html(ASSETS / "paper" / "paper.css")
page_header(say("paper.title"))
st.caption(say("paper.thesis"))

table = reproduce.table()
st.markdown(say(f"paper.about.{table}"))
if table == SORTING:
    results.sorting()
    st.stop()

made = load_shipped(table)
source = reproduce.source(made is not None)
with st.container(border=True, key="paper_run"):
    st.markdown(f"**{say('paper.run.title')}**")
    chosen = reproduce.chosen_plan(table)
    if chosen is not None:
        reproduce.live(chosen)
if made is not None and source == "shipped":
    plan, found, pictures = plan_of(made), made, load_shipped_pictures(table)
else:
    if made is None:
        st.info(say("paper.source.none"))
    if chosen is None:
        st.stop()
    plan = chosen
    found, pictures = results.of_store(plan)
if any(trial.finished for trial in found.trials):
    results.provenance(found, pictures)
results.tables(compare(found), linked=found is not made)
results.figures(plan, pictures)
results.settings(found)
