"""Show two runs side by side at one step: one component, fed by the live route."""

from __future__ import annotations

from typing import Any

import plotly
import streamlit as st

from sparsecore.dashboard.compare.choice import STEP, turn_to_step
from sparsecore.dashboard.labels import short
from sparsecore.dashboard.live_view import drawn_cards, leave_to_watch
from sparsecore.dashboard.server.components import place
from sparsecore.dashboard.server.live_route import PLOTLY_PATH
from sparsecore.runs.store.run import Run
from sparsecore.words import words

KEY = "compare_view"
PREFIXES = ("compare.", "live.", "method.", "save.", "task.", "state.")  # of the words that the view shows


def compare_view(first: Run, second: Run) -> None:
    """Show two runs of one task, live while they train; the viewed step goes into the address."""
    language = st.session_state["lang"]
    props = {
        "a": _told(first),
        "b": _told(second),
        "step": _asked_step(),
        "plotly": f"{PLOTLY_PATH}?v={plotly.__version__}",
        "language": language,
        "cards": drawn_cards(),
        "words": {k: v for k, v in words(language).items() if k.startswith(PREFIXES)},
    }
    place(
        "compare/view.js",
        KEY,
        props,
        on_step_change=lambda: turn_to_step(st.session_state[KEY].get("step")),
    )


def _told(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "token": leave_to_watch(run.id),
        "name": run.name or short(run),
        "address": f"/?run={run.id}&lang={st.session_state['lang']}",
    }


def _asked_step() -> int | None:
    linked = st.query_params.get(STEP, "")
    return int(linked) if linked.isascii() and linked.isdigit() and len(linked) < 10 else None
