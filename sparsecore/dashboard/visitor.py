"""Who looks at the page: the owner of its browser, the teacher, or the only one on this server."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import streamlit as st

from sparsecore.dashboard.controls import say, told, told_store
from sparsecore.dashboard.server.identity import account_owner, digest, owner_cookies
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.teacher import TRIES, WITHIN_SECONDS, door
from sparsecore.engine.config import ConfigError
from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.people import NotYours, Person, QueueFull, is_only_owner
from sparsecore.runs.store.run import WELCOME, Run
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps.stored import Sweep

TEACHER = "teacher"  # in the session: whether it has the teacher's rights
WITHOUT_COOKIE = "without_cookie"  # in the session: who it is where the browser keeps no cookie
REFUSED = "refused"  # in the session: the sentence that says why something was not done
PASSWORD, ANSWER = "teacher_password", "teacher_answer"


def signed_in() -> bool:
    """Whether the browser has signed in; never where the server offers no sign-in."""
    return bool(st.user.get("is_logged_in"))


def the_account() -> str | None:
    """The owner that somebody signed in is; None when he is not."""
    return account_owner(st.user.to_dict()) if signed_in() else None


def visitor() -> Person:
    """The person before this page."""
    owner = the_account() or owner_cookies(the_store()).owner(st.context.cookies)
    if owner is None:
        owner = digest(st.session_state.setdefault(WITHOUT_COOKIE, secrets.token_urlsafe(24)))
    _seen(the_store()).add(owner)
    return Person(owner, teacher=bool(st.session_state.get(TEACHER)), alone=_alone(owner))


@cache
def _seen(store: Store) -> set[str]:
    """Everyone who has looked at a page since the server began."""
    return set()


def _alone(owner: str) -> bool:
    if door().exists or _seen(the_store()) != {owner}:
        return False
    with the_store().engine.connect() as connection:
        return is_only_owner(connection, owner)


def may(thing: Run | Sweep) -> bool:
    """Whether the person before this page may command the run or sweep."""
    return visitor().may(thing.owner, thing.origin)


def whose(thing: Run | Sweep, person: Person | None = None) -> Literal["yours", "nobodys", "others"]:
    """Whose the run or sweep is, to a person: the one before this page."""
    if thing.owner is None:
        return "nobodys"
    return "yours" if thing.owner == (person or visitor()).owner else "others"


def hint(thing: Run | Sweep, usual: str) -> str:
    """What a button says on hover: why it cannot be pressed, or the usual words."""
    return usual if may(thing) else say(f"owner.{whose(thing)}.help")


def whose_line(run: Run) -> None:
    """Whose the run is, in words: what is on hover only, a phone does not show."""
    if run.active and run.origin != WELCOME and not may(run):
        st.caption(say(f"owner.{whose(run)}.line"))


def attempt(act: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Do what the person asks for; a refusal is told by `tell_refusal` on the page that follows."""
    try:
        return act(*given, **named)
    except NotYours:
        refuse(say("owner.refused"))
    except QueueFull as error:
        refuse(say("queue.full", most=error.most))
    except ConfigError as error:
        refuse(told(error))
    except StoreError as error:
        refuse(told_store(error))
    return None


def refuse(why: str) -> None:
    """Let `tell_refusal` say why something is not done."""
    st.session_state[REFUSED] = why


def tell_refusal() -> None:
    """Why what was asked for last was not done."""
    if refused := st.session_state.pop(REFUSED, None):
        st.error(refused)


def account_menu() -> None:
    """Sign in and out, and the teacher's password, where the server offers them."""
    offers_sign_in = "is_logged_in" in st.user
    if not (door().exists or offers_sign_in):
        return
    teacher = visitor().teacher
    label = say("owner.teacher") if teacher else say("owner.menu")
    icon = ":material/school:" if teacher else ":material/person:"
    with st.popover(label, icon=icon, key="account", help=say("owner.menu.help")):
        if offers_sign_in:
            _sign_in()
        if door().exists:
            _teacher(teacher)


def _sign_in() -> None:
    if signed_in():
        st.text(say("owner.signed_in", name=st.user.get("name") or st.user.get("email") or ""))
        st.button(say("owner.sign_out"), icon=":material/logout:", on_click=st.logout, key="sign_out")
    else:
        st.button(say("owner.sign_in"), icon=":material/login:", on_click=st.login, key="sign_in")


def _teacher(teacher: bool) -> None:
    if teacher:
        st.write(say("owner.teacher.now"))
        st.button(say("owner.teacher.drop"), icon=":material/logout:", on_click=_drop, key="teacher_drop")
        return
    st.text_input(say("owner.teacher.password"), type="password", key=PASSWORD, on_change=_knock)
    st.caption(say("owner.teacher.help"))
    match st.session_state.pop(ANSWER, None):
        case "wrong":
            st.error(say("owner.teacher.wrong"))
        case "wait":
            st.error(say("owner.teacher.wait", tries=TRIES, seconds=f"{WITHIN_SECONDS:g}"))


def _knock() -> None:
    given, st.session_state[PASSWORD] = st.session_state[PASSWORD], ""
    if given:
        answer = door().knock(visitor().owner, given)
        st.session_state[TEACHER] = answer == "right"
        st.session_state[ANSWER] = answer


def _drop() -> None:
    st.session_state[TEACHER] = False
