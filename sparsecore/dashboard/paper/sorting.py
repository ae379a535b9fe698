"""Table 3-5 on the Paper page: the thesis's seconds beside those of this server, measured on request."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import streamlit as st

from sparsecore.dashboard import widgets
from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.reading import Reading
from sparsecore.dashboard.session import the_store
from sparsecore.figures.html import paper_tables
from sparsecore.paper.thesis import PAPER_BLOCKS, SORTING, tables
from sparsecore.settings import child_environment

KEPT = "paper.sorting"  # the setting of the store that holds the last measurement
TIMEOUT_SECONDS = 300  # two full heap sorts in Python, on a busy machine


class Refused(Exception):
    """It could not be measured; the message is the sentence that says why."""


def measure(**_watched: Any) -> dict[str, Any]:
    """Table 3-5 by a process of its own, for the server has no torch; raises `Refused`, or TimeoutExpired."""
    command = [sys.executable, "-m", "sparsecore", "reproduce", SORTING, "--json"]
    options = {"capture_output": True, "encoding": "utf-8", "errors": "replace", "timeout": TIMEOUT_SECONDS}
    done = subprocess.run(command, env=child_environment(), check=False, **options)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise Refused(said[-1].strip() if said else f"exit {done.returncode}")
    return json.loads(done.stdout) | {"measured": time.time()}


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
            the_store().set_setting(KEPT, Reading(measure).result())
        except Refused as error:
            st.error(say("paper.sorting.refused", reason=plain(error)))
            return
        except subprocess.TimeoutExpired:
            st.error(say("predict.slow", seconds=TIMEOUT_SECONDS))
            return
    st.rerun()
