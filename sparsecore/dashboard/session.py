"""What the pages share: the server's store, the run that is looked at, the one that greets everybody."""

from __future__ import annotations

import time
from functools import cache

import streamlit as st

from sparsecore.engine.config import RunConfig, parameters_of
from sparsecore.runs.store.run import WELCOME, Run
from sparsecore.runs.store.store import Store

RETRY_SECONDS = 60.0  # a welcome run that failed is shown as it is for so long, then tried again
BEGUN = "begun"
REPLACED = "replaced"  # in the session: the run that a new one took the place of, and when
STALE_SECONDS = 10.0  # a busy browser may send the old address for so long; later it is a press of Back
LOOKED_AT = "looked_at"  # in the session: what the URL forgets when another page is opened


@cache
def the_store() -> Store:
    """The store of this server."""
    return Store()


def linked_run() -> Run | None:
    """The run of the URL, else the one last looked at; None without one, or if there is none of that name."""
    run_id = st.query_params.get("run") or st.session_state.get(LOOKED_AT)
    replaced, since = st.session_state.get(REPLACED, (None, 0.0))
    if run_id == replaced and time.monotonic() - since < STALE_SECONDS:
        # The browser asked for this page before it had heard of the run that was just begun.
        run_id = st.session_state[LOOKED_AT]
    if run_id:
        open_run(run_id)
    return the_store().get(run_id) if run_id else None


def welcome_run() -> Run:
    """The run that a visitor sees who has pressed nothing: one for all, begun by the first of them."""
    store = the_store()
    for run in store.list(origin=WELCOME, limit=1):
        failed_long_ago = run.state == "failed" and time.time() - run.created > RETRY_SECONDS
        if run.reason != "stopped" and not failed_long_ago:
            return run
    return store.get(store.create(RunConfig(), origin=WELCOME))


def begun_here(run: Run) -> bool:
    """Whether this session began the run; another person's is not ours to stop in passing."""
    return run.id in st.session_state.get(BEGUN, ())


def note_begun(run_id: str) -> None:
    """Remember that this session began the run."""
    st.session_state[BEGUN] = (*st.session_state.get(BEGUN, ()), run_id)


def open_begun(run_id: str) -> None:
    """Look at a run that was begun here in place of the one that was shown."""
    st.session_state[REPLACED] = st.session_state.get(LOOKED_AT), time.monotonic()
    open_run(run_id)


def open_run(run_id: str) -> None:
    """Look at this run from now on; the URL says so."""
    st.session_state[LOOKED_AT] = run_id
    if st.query_params.get("run") != run_id:
        st.query_params["run"] = run_id


def differs_from(config: RunConfig, run: Run, follows: bool) -> bool:
    """Whether Train with this config would do something else than `run` does, which `follows` what is set."""
    here, there = config.model_dump(), run.config.model_dump() | the_store().changes(run.id)
    rows = parameters_of(config.task, config.method)
    live = {name for name, row in rows.items() if row.live and run.active and follows}
    if here["freeze_at"] is None:
        live |= {"freeze_at"}  # the button froze it, not a setting
    return any(here[name] != there.get(name) for name in here.keys() - live)
