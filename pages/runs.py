"""Runs: everything that was trained on this server or brought to it; one of them chosen and named."""

import streamlit as st

from sparsecore.dashboard import disk_room, run_archives, run_card, run_list
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.transport import language_switch
from sparsecore.dashboard.visitor import tell_refusal, visitor

with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.subheader(say("runs.title"), anchor=False)
    language_switch()
tell_refusal()

person = visitor()
wanted = run_list.wanted(person)
listing = st.container()
choosing, beside = st.columns([3, 2], gap="medium")
with beside:
    run_archives.bring()  # before the list is read: what has come is in it
    disk_room.show(person)
with listing:
    found = run_list.show(wanted, person)
    run_card.undo(person)
with choosing:
    run_card.show(found, person)
