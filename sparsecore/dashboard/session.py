"""What the pages share: the server's store, the viewed run, the welcome run."""

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
    """Return the run of the URL, else the last viewed; None if there is none."""
    run_id = st.query_params.get("run") or st.session_state.get(LOOKED_AT)
    replaced, since = st.session_state.get(REPLACED, (None, 0.0))
    if run_id == replaced and time.monotonic() - since < STALE_SECONDS:
        # The browser requested this page before it knew of the run just started.
        run_id = st.session_state[LOOKED_AT]
    if run_id:
        open_run(run_id)
    return the_store().get(run_id) if run_id else None


def welcome_run() -> Run:
    """Return the welcome run for new visitors: one for all, started by the first."""
    store = the_store()
    for run in store.list(origin=WELCOME, limit=1):
        failed_long_ago = run.state == "failed" and time.time() - run.created > RETRY_SECONDS
        if run.reason != "stopped" and not failed_long_ago:
            return run
    return store.get(store.create(RunConfig(), origin=WELCOME))


def begun_here(run: Run) -> bool:
    """Whether this session started the run; other people's runs are not stopped in passing."""
    return run.id in st.session_state.get(BEGUN, ())


def note_begun(run_id: str) -> None:
    """Note that this session started the run."""
    st.session_state[BEGUN] = (*st.session_state.get(BEGUN, ()), run_id)


def open_begun(run_id: str) -> None:
    """View a run that this session started instead of the shown one."""
    st.session_state[REPLACED] = st.session_state.get(LOOKED_AT), time.monotonic()
    open_run(run_id)


def open_run(run_id: str) -> None:
    """View this run from now on and put it into the URL."""
    st.session_state[LOOKED_AT] = run_id
    if st.query_params.get("run") != run_id:
        st.query_params["run"] = run_id


def differs_from(config: RunConfig, run: Run, follows: bool) -> bool:
    """Whether Train with this config would differ from `run`, whose live changes are in `follows`."""
    here, there = config.model_dump(), run.config.model_dump() | the_store().changes(run.id)
    rows = parameters_of(config.task, config.method)
    live = {name for name, row in rows.items() if row.live and run.active and follows}
    if here["freeze_at"] is None:
        live |= {"freeze_at"}  # the button froze it, not a setting
    return any(here[name] != there.get(name) for name in here.keys() - live)
