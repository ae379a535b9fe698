"""Runs: everything that was trained on this server or brought to it; one of them chosen and named."""

import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.lab.transport import language_switch
from sparsecore.dashboard.runs import archives, card, disk, list
from sparsecore.dashboard.visitor import tell_refusal, visitor

ICON = ":material/list:"
ORDER = 70

with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.subheader(say("runs.title"), anchor=False)
    language_switch()
tell_refusal()

person = visitor()
wanted = list.wanted(person)
listing = st.container()
choosing, beside = st.columns([3, 2], gap="medium")
with beside:
    archives.bring()  # before the list is read: what has come is in it
    disk.show(person)
with listing:
    found = list.show(wanted, person)
    card.undo(person)
with choosing:
    card.show(found, person)
