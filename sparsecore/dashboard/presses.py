"""Presses of buttons that are not done yet: none is lost where something else begins the page anew meanwhile.

Streamlit hands a press to the next run of the page. When the live view tells something, or another widget is
touched, that run is broken off where it next speaks with the browser or asks the session, in a callback too,
and the press is gone with it. So a button's callback only notes what is to be done, which nothing breaks off,
and the page does it first of all.
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
    """Do what was pressed since, in order, before any widget of the page, whose values it may set.

    Whether anything was. The session is asked before each: better broken off there than after it is taken.
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
