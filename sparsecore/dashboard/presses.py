"""Keep button presses that a rerun of the page would lose.

Streamlit delivers a press to the next run of the page. A message of the live view, or another widget,
interrupts that run at its next access to the browser or the session, even within a callback, and the press is
lost. So a button's callback only notes what to do, which nothing interrupts, and the page does it first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

PRESSES = "presses"  # in the session


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
