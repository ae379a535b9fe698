"""Data: bring texts of your own, see what they are, keep them, train on them."""

from pathlib import Path

import streamlit as st

from sparsecore.dashboard import controls
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.data import kept
from sparsecore.dashboard.data.incoming import incoming
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import tell_refusal
from sparsecore.dashboard.widgets import page_header

ICON = ":material/database:"
ORDER = 90

folder = the_store().home / "corpora"
controls.load(None)

page_header(say("data.title"))
tell_refusal()

bring, keep = st.columns(2, gap="medium")
with bring:
    st.markdown(f"**{say('data.bring')}**")
    incoming(folder)
with keep:
    st.markdown(f"**{say('data.kept_here')}**")
    chosen = kept.listed(folder)
if chosen:
    kept.train_on(chosen)
    st.switch_page(Path(__file__).with_name("lab.py"))
