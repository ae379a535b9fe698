"""What the pages share: the server's store, the viewed run, the welcome run, presses of buttons."""

import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import streamlit as st

from sparsecore.engine.config import RunConfig, parameters_of
from sparsecore.runs.store.run import WELCOME, Run
from sparsecore.runs.store.store import Store

PRESSES = "presses"
RETRY_SECONDS = 60.0  # a welcome run that failed is shown as it is for so long, then tried again
BEGUN = "begun"
REPLACED = "replaced"  # in the session: the run that a new one took the place of, and when
RETURN_SECONDS = 3.0  # between two looks for a run whose deletion may be undone
STALE_SECONDS = 10.0  # a busy browser may send the old address for so long; later it is a press of Back
FREEZING = "freezing"  # in the session: a run, whether it was told to freeze or to unfreeze, and when
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


@st.fragment(run_every=RETURN_SECONDS)
def come_back(run_id: str) -> None:
    """Show a deleted run again once its deletion is undone."""
    if the_store().get(run_id) is not None:
        st.rerun(scope="app")


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
    put_in_address({"run": run_id})


def put_in_address(values: Mapping[str, str | None]) -> None:
    """Set parameters of the address in one message, as each is a step of the browser; None removes one."""
    before = st.query_params.to_dict()
    after = {name: value for name, value in (before | values).items() if value is not None}
    if after != before:
        st.query_params.from_dict(after)


def differs_from(config: RunConfig, run: Run, follows: bool) -> bool:
    """Whether Train with this config would differ from `run`, whose live changes are in `follows`."""
    here, there = config.model_dump(), run.config.model_dump() | the_store().changes(run.id)
    rows = parameters_of(config.task, config.method)
    live = {name for name, row in rows.items() if row.live and run.active and follows}
    if here["freeze_at"] is None:
        live |= {"freeze_at"}  # the button froze it, not a setting
    return any(here[name] != there.get(name) for name in here.keys() - live)


# -- Presses of buttons
#
# Streamlit delivers a press to the next run of the page. A message of the live view, or another widget,
# interrupts that run at its next access to the browser or the session, even within a callback, and the press
# is lost. So a button's callback only notes what to do, and the page does it first.


def press(act: Callable[..., Any], *given: Any) -> dict[str, Any]:
    """What a button is given so that `do_pressed` does this."""
    return {"on_click": _waiting().append, "args": (partial(act, *given),)}


def do_pressed() -> bool:
    """Run the noted presses in order, before any widget of the page, so that they may set widget values.

    Returns whether there was any. Each is preceded by an access to the session, where an interruption hits.
    """
    any_done = False
    while waiting := _waiting():
        waiting.pop(0)()
        any_done = True
    return any_done


def forget_presses() -> None:
    """Another page is shown: what was meant for the one before is not done when that is shown again."""
    _waiting().clear()


def _waiting() -> list[Callable[[], Any]]:
    return st.session_state.setdefault(PRESSES, [])
