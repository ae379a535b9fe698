"""Runs: everything that was trained on this server or brought to it; one of them chosen and named."""

import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.runs import card, disk, files, list
from sparsecore.dashboard.visitor import tell_refusal, visitor
from sparsecore.dashboard.widgets import page_header

ICON = ":material/list:"
ORDER = 70

page_header(say("runs.title"))
tell_refusal()

person = visitor()
wanted = list.wanted(person)
listing = st.container()
choosing, beside = st.columns([3, 2], gap="medium")
with beside:
    files.bring()  # before the list is read: what has come is in it
    disk.show(person)
with listing:
    found = list.show(wanted, person)
    card.undo(person)
with choosing:
    card.show(found)
