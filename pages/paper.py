"""Paper: the thesis's tables and figures, ours beside theirs, and why they differ."""

import streamlit as st

from sparsecore.dashboard import paper_results, paper_run
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.paper_sorting import sorting
from sparsecore.dashboard.transport import language_switch
from sparsecore.dashboard.words import ASSETS
from sparsecore.reproduce.comparison import compare
from sparsecore.reproduce.gather import plan_of, shipped_pictures
from sparsecore.reproduce.record import shipped
from sparsecore.thesis import SORTING

st.html(ASSETS / "paper" / "paper.css")
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.subheader(say("paper.title"), anchor=False)
    language_switch()

table = paper_run.table()
st.markdown(say(f"paper.about.{table}"))
if table == SORTING:
    sorting()
    st.stop()

made = shipped(table)
source = paper_run.source(made is not None)
with st.container(border=True, key="paper_run"):
    st.markdown(f"**{say('paper.run.title')}**")
    asked = paper_run.asked(table)
    if asked is not None:
        paper_run.live(asked)
if made is not None and source == "shipped":
    plan, found, pictures = plan_of(made), made, shipped_pictures(table)
else:
    if made is None:
        st.info(say("paper.source.none"))
    if asked is None:
        st.stop()
    plan = asked
    found, pictures = paper_results.of_store(plan)
if any(trial.finished for trial in found.trials):
    paper_results.provenance(found, pictures)
paper_results.tables(compare(found), linked=found is not made)
paper_results.figures(plan, pictures)
paper_results.settings(found)
