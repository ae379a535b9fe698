"""The live view: one component that keeps its nodes, fed by the live route (assets/views/lab)."""

import json
import time
from typing import Any

import plotly
import streamlit as st

from sparsecore.dashboard import classroom
from sparsecore.dashboard.server.components import place
from sparsecore.dashboard.server.live_route import PLOTLY_PATH, TOKEN_SECONDS, tokens
from sparsecore.dashboard.session import FREEZING, the_store
from sparsecore.dashboard.visitor import the_account
from sparsecore.dashboard.widgets import label, short
from sparsecore.engine.cards import methods, tasks
from sparsecore.engine.training.frame_reading import Scene
from sparsecore.runs.store.run import SHARED_ORIGINS, Run
from sparsecore.runs.store.store import Store
from sparsecore.words import words

LISTED = 20  # runs to choose from
LOOKED_THROUGH = 200  # of the newest runs of all tasks
POINTS = 400  # of the second curve; more are not visible
FREEZING_SECONDS = 10.0  # a busy worker obeys a command within this time
COMPARED = "compared"  # in the session: the run that curves are compared with
PREFIXES = ("grade.", "live.", "method.", "save.", "state.", "task.")  # of the words that the view shows


def is_frozen(run: Run) -> bool:
    """Whether the support is fixed: as the user has just commanded, else by the last record of the run."""
    told, wanted, since = st.session_state.get(FREEZING, ("", False, 0.0))
    if told == run.id and time.monotonic() - since < FREEZING_SECONDS:
        return wanted
    return the_store().last_record(run.id).get("frozen", False)


def live_view(run: Run, frozen: bool | None = None, *, brief: bool = False) -> None:
    """Show a run: live while it trains, a replay afterwards. Reruns the page when the run's state changes.

    frozen: what the page's own buttons were made by. Asked anew, it may have changed since, and the view
    would take the page to know. brief: without the curves.
    """
    others = comparable(the_store(), run)
    chosen = st.session_state.get(COMPARED)
    props = {
        "run": run.id,
        "token": leave_to_watch(run.id),
        "state": run.state,
        "frozen": is_frozen(run) if frozen is None else frozen,
        "others": others,
        "compare": curves(the_store(), chosen) if chosen in [other["id"] for other in others] else None,
        "leads": bool(st.session_state.get(classroom.LEADS)),
        "obeys": classroom.is_requested(classroom.FOLLOW),
        "brief": brief,
        "autoplay": run.origin in SHARED_ORIGINS,
    }
    # Not isolated: Plotly's style sheet goes into the document, and does not reach into a shadow root.
    place(
        "lab/view.js",
        "live",
        props | view_data(),
        on_state_change=lambda: None,
        on_compare_change=_compare,
        on_seek_change=classroom.go_to_step,
    )


def _compare() -> None:
    st.session_state[COMPARED] = st.session_state["live"].get("compare") or None


def view_data(*prefixes: str) -> dict[str, Any]:
    """What every view draws by: Plotly's address, the cards, the words of the views and of these prefixes.

    The cards are the colours of methods and the first metric of each task.
    """
    language = st.session_state["lang"]
    colours = {
        name: {"colour": card.colour, "second": card.second_colour, "constrained": card.constrained}
        for name, card in methods().items()
    }
    metrics = {
        name: {"name": card.metric.name, "lower": card.metric.lower, "percent": card.metric.percent}
        for name, card in tasks().items()
    }
    return {
        "plotly": f"{PLOTLY_PATH}?v={plotly.__version__}",
        "language": language,
        "cards": {"methods": colours, "metrics": metrics},
        "words": {k: v for k, v in words(language).items() if k.startswith((*PREFIXES, *prefixes))},
    }


def leave_to_watch(run_id: str) -> str:
    """The session's leave to watch this run; the same one for hours, so that the view is left alone."""
    issued = st.session_state.setdefault("live_tokens", {})
    token, since = issued.get(run_id, ("", 0.0))
    if time.monotonic() - since > TOKEN_SECONDS / 2 or not token:
        token = tokens(the_store()).issue(run_id, the_account())
        issued[run_id] = token, time.monotonic()
    return token


def comparable(store: Store, run: Run) -> list[dict[str, str]]:
    """Return id and name of the newest started runs of the same task."""
    others = [r for r in store.list(limit=LOOKED_THROUGH) if r.config.task == run.config.task and r.step]
    return [{"id": r.id, "label": label(r)} for r in others if r.id != run.id][:LISTED]


def curves(store: Store, run_id: str) -> dict[str, Any]:
    """Return a run's metrics so far: at most `POINTS` rows of step and metrics, and its steps per epoch."""
    run = store.get(run_id)
    records = [(row.step, json.loads(row.payload)) for row in store.entries(run_id, ["record"])]
    rows = [{"step": step, "metrics": values["metrics"]} for step, values in records if values.get("metrics")]
    stride = -(-len(rows) // POINTS) if rows else 1
    scene = next((Scene.read(row.payload).meta for row in store.entries(run_id, ["scene"])), {})
    return {
        "id": run_id,
        "label": label(run),
        "short": short(run),
        "method": run.config.method,
        "steps_an_epoch": scene.get("steps_an_epoch"),
        "rows": rows[::stride] + (rows[-1:] if (len(rows) - 1) % stride else []),
    }
