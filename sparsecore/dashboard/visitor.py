"""The visitor of the page: the owner of its browser, the teacher, or the only user of this server."""

import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import streamlit as st

from sparsecore.dashboard.controls import say, sentence, store_sentence
from sparsecore.dashboard.jobs import Job
from sparsecore.dashboard.server.identity import account_owner, digest, owner_cookies
from sparsecore.dashboard.session import the_store
from sparsecore.engine.config import ConfigError
from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.people import NotYours, Person, QueueFull, is_only_owner
from sparsecore.runs.store.run import WELCOME, Run
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps.stored import Sweep
from sparsecore.settings import read_setting

TEACHER = "teacher"  # in the session: whether it has the teacher's rights
WITHOUT_COOKIE = "without_cookie"  # in the session: who it is where the browser keeps no cookie
REFUSED = "refused"  # in the session: the sentence that says why something was not done
PASSWORD, ANSWER = "teacher_password", "teacher_answer"
WITHIN_SECONDS = 60.0
TRIES = 5  # of one person within that time,
TRIES_OF_ALL = 30  # and of all together: a new cookie is easily had
Answer = Literal["right", "wrong", "wait"]


def signed_in() -> bool:
    """Whether the browser has signed in; never where the server offers no sign-in."""
    return bool(st.user.get("is_logged_in"))


def the_account() -> str | None:
    """Return the owner of the signed-in account; None if not signed in."""
    return account_owner(st.user.to_dict()) if signed_in() else None


def visitor() -> Person:
    """Return the visitor of this page."""
    owner = the_account() or owner_cookies(the_store()).owner(st.context.cookies)
    if owner is None:
        owner = digest(st.session_state.setdefault(WITHOUT_COOKIE, secrets.token_urlsafe(24)))
    _seen(the_store()).add(owner)
    return Person(owner, teacher=bool(st.session_state.get(TEACHER)), alone=_alone(owner))


@cache
def _seen(store: Store) -> set[str]:
    """Return all owners that have opened a page since the server started."""
    return set()


def _alone(owner: str) -> bool:
    if door().has_password or _seen(the_store()) != {owner}:
        return False
    with the_store().engine.connect() as connection:
        return is_only_owner(connection, owner)


def may(thing: Run | Sweep) -> bool:
    """Whether the visitor may command the run or sweep."""
    return visitor().may(thing.owner, thing.origin)


def ownership(thing: Run | Sweep, person: Person | None = None) -> Literal["yours", "nobodys", "others"]:
    """Return the ownership of a run or sweep as seen by a person, by default the visitor."""
    if thing.owner is None:
        return "nobodys"
    return "yours" if thing.owner == (person or visitor()).owner else "others"


def hint(thing: Run | Sweep, usual: str) -> str:
    """Return a button's tooltip: why it is disabled, or its usual text."""
    return usual if may(thing) else say(f"owner.{ownership(thing)}.help")


def stop_button(job: Job, key: str) -> None:
    """Draw the button that cancels a job that several users share, for those with the right."""
    person = visitor()
    allowed = person.may(job.by.owner)
    words = {"label": say("sweep.stop"), "help": None if allowed else say("owner.others.help")}
    if st.button(**words, icon=":material/stop:", key=key, disabled=job.is_cancelled or not allowed):
        attempt(job.cancel, person)
        st.rerun()


def whose_line(run: Run) -> None:
    """Show the owner of the run as text, because phones do not show tooltips."""
    if run.active and run.origin != WELCOME and not may(run):
        st.caption(say(f"owner.{ownership(run)}.line"))


def attempt(act: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Do what the visitor requests; `tell_refusal` shows a refusal on the next page run."""
    try:
        return act(*given, **named)
    except NotYours:
        refuse(say("owner.refused"))
    except QueueFull as error:
        refuse(say("queue.full", most=error.most))
    except ConfigError as error:
        refuse(sentence(error))
    except StoreError as error:
        refuse(store_sentence(error))
    return None


def refuse(why: str) -> None:
    """Record a refusal for `tell_refusal`."""
    st.session_state[REFUSED] = why


def tell_refusal() -> None:
    """Show why the last request was refused."""
    if refused := st.session_state.pop(REFUSED, None):
        st.error(refused)


def account_menu() -> None:
    """Offer sign-in, sign-out and the teacher's rights, if the visitor may need them."""
    offers_sign_in = "is_logged_in" in st.user
    if visitor().alone and not offers_sign_in:
        return
    teacher = visitor().teacher
    label = say("owner.teacher") if teacher else say("owner.menu")
    icon = ":material/school:" if teacher else ":material/person:"
    with st.popover(label, icon=icon, key="account", help=say("owner.menu.help")):
        if offers_sign_in:
            _sign_in()
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
    means = "code" if door().code else "password"
    st.text_input(say(f"owner.teacher.{means}"), type="password", key=PASSWORD, on_change=_knock)
    st.caption(say("owner.teacher.help"))
    if door().code:
        st.caption(say("owner.teacher.code.help"))
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


# -- The teacher's password: compared in constant time, with a limit on attempts


class Door:
    """Checks the teacher's password; without one a random `code` takes its place until the server stops."""

    def __init__(self, password: str) -> None:
        self.code = "" if password else secrets.token_hex(4)
        self._password = (password or self.code).encode()
        self._failed: deque[tuple[float, str]] = deque()
        self._turn = threading.Lock()

    @property
    def has_password(self) -> bool:
        return not self.code

    def knock(self, who: str, password: str) -> Answer:
        """Whether the password is right; "wait" after too many wrong attempts."""
        with self._turn:
            now = time.monotonic()
            while self._failed and now - self._failed[0][0] > WITHIN_SECONDS:
                self._failed.popleft()
            own = sum(name == who for _, name in self._failed)
            if own >= TRIES or len(self._failed) >= TRIES_OF_ALL:
                return "wait"
            if hmac.compare_digest(password.encode(), self._password):
                return "right"
            self._failed.append((now, who))
            return "wrong"


@cache
def door() -> Door:
    """Return the check of this server, with the password of its environment."""
    return Door(read_setting("teacher_password"))
