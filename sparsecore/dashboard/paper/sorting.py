"""Table 3-5 on the Paper page: the thesis's seconds and this server's, measured on request."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import streamlit as st

from sparsecore.dashboard import widgets
from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.jobs import SHORT_JOBS, JobError, run_command
from sparsecore.dashboard.session import the_store
from sparsecore.figures.html import paper_tables
from sparsecore.paper.thesis import PAPER_BLOCKS, SORTING, tables
from sparsecore.runs.store.store import Store

KEPT = "paper.sorting"  # the setting of the store that holds the last measurement
TIMEOUT_SECONDS = 300  # two full heap sorts in Python, on a busy machine


def measure(store: Store) -> dict[str, Any]:
    """Table 3-5, measured in a child process. Raises JobError, or TimeoutExpired."""
    found = run_command("reproduce", SORTING, store=store, seconds=TIMEOUT_SECONDS)
    return found | {"measured": time.time()}


def sorting() -> None:
    """The table as it was last measured here, or the thesis's seconds alone; and the button that measures."""
    found = the_store().setting(KEPT, dict)
    shown = found or {"paper": tables()[SORTING], "rows": [], "blocks": PAPER_BLOCKS}
    st.html(paper_tables.sorting_table(shown, say))
    if found:
        st.caption(say("paper.sorting.at", when=widgets.minute(found["measured"])))
        st.caption(say("paper.sorting.why", share=f"{found['density']:.0%}"))
        st.markdown(f"**{say('paper.sorting.large')}**")
        st.markdown("\n".join(f"- {text}" for text in paper_tables.sorting_sentences(found, say)))
        st.code(found["measured_by"], language=None)
    else:
        st.caption(say("paper.sorting.none"))
    if st.button(say("paper.sorting.measure"), icon=":material/timer:", type="primary", key="paper_measure"):
        _measure()


def _measure() -> None:
    with st.spinner(say("paper.sorting.running"), show_time=True):
        try:
            the_store().set_setting(KEPT, SHORT_JOBS.start(lambda _: measure(the_store())).result())
        except JobError as error:
            st.error(say("paper.sorting.refused", reason=plain(error)))
            return
        except subprocess.TimeoutExpired:
            st.error(say("predict.slow", seconds=TIMEOUT_SECONDS))
            return
    st.rerun()
