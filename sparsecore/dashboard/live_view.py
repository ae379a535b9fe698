"""The live view: one component that keeps its nodes, fed by the live route (assets/views/lab)."""

from __future__ import annotations

import time
from typing import Any

import plotly
import streamlit as st

from sparsecore.dashboard import classroom
from sparsecore.dashboard.labels import comparable, curves
from sparsecore.dashboard.server.components import place
from sparsecore.dashboard.server.live_route import PLOTLY_PATH, TOKEN_SECONDS, tokens
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import the_account
from sparsecore.engine.cards import methods, tasks
from sparsecore.runs.store.run import SHARED_ORIGINS, Run
from sparsecore.words import words

COMPARED = "compared"  # in the session: the run that curves are compared with
PREFIXES = ("live.", "method.", "save.", "state.", "task.")  # of the words that the view shows


def is_frozen(run: Run) -> bool:
    """Whether the support is fixed, by the last record of the run."""
    return the_store().last_record(run.id).get("frozen", False)


def live_view(run: Run, frozen: bool | None = None) -> None:
    """Show a run: live while it trains, a replay afterwards. Reruns the page when the run's state changes.

    frozen: what the page's own buttons were made by. Asked anew, it may have changed since, and the view
    would take the page to know.
    """
    language = st.session_state["lang"]
    others = comparable(the_store(), run)
    chosen = st.session_state.get(COMPARED)
    props = {
        "run": run.id,
        "token": leave_to_watch(run.id),
        "state": run.state,
        "frozen": is_frozen(run) if frozen is None else frozen,
        "plotly": f"{PLOTLY_PATH}?v={plotly.__version__}",
        "others": others,
        "compare": curves(the_store(), chosen) if chosen in [other["id"] for other in others] else None,
        "leads": bool(st.session_state.get(classroom.LEADS)),
        "obeys": classroom.is_requested(classroom.FOLLOW),
        "autoplay": run.origin in SHARED_ORIGINS,
        "language": language,
        "cards": drawn_cards(),
        "words": {k: v for k, v in words(language).items() if k.startswith(PREFIXES)},
    }
    # Not isolated: Plotly's style sheet goes into the document, and does not reach into a shadow root.
    place(
        "lab/view.js",
        "live",
        props,
        on_state_change=lambda: None,
        on_compare_change=_compare,
        on_seek_change=classroom.go_to_step,
    )


def _compare() -> None:
    st.session_state[COMPARED] = st.session_state["live"].get("compare") or None


def drawn_cards() -> dict[str, Any]:
    """What the scripts of the views draw by: colours of methods, and the first metric of each task."""
    colours = {
        name: {"colour": card.colour, "second": card.second_colour, "constrained": card.constrained}
        for name, card in methods().items()
    }
    metrics = {
        name: {"name": card.metric.name, "lower": card.metric.lower, "percent": card.metric.percent}
        for name, card in tasks().items()
    }
    return {"methods": colours, "metrics": metrics}


def leave_to_watch(run_id: str) -> str:
    """The session's leave to watch this run; the same one for hours, so that the view is left alone."""
    issued = st.session_state.setdefault("live_tokens", {})
    token, since = issued.get(run_id, ("", 0.0))
    if time.monotonic() - since > TOKEN_SECONDS / 2 or not token:
        token = tokens(the_store()).issue(run_id, the_account())
        issued[run_id] = token, time.monotonic()
    return token
