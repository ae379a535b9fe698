"""A class before one server: links that hide the controls, large type, and students who follow the teacher.

What a page is told stands in its address, so that a link carries it: `controls=0`, `type=large`,
`follow=1`. Whom they follow is one value of the store: the run that the teacher looks at, and the step he has
gone back to.
"""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.session import LOOKED_AT, open_run, the_store
from sparsecore.dashboard.visitor import visitor
from sparsecore.runs.store.run import Run
from sparsecore.teaching.teacher_view import TeacherView, set_teacher_view, teacher_view

HIDDEN, LARGE, FOLLOW = ("controls", "0"), ("type", "large"), ("follow", "1")
LEADS = "leads"  # in the session: whether the class follows this tab
LOOK_SECONDS = 1.0  # between two looks at which run is shown
LARGE_ZOOM = 1.35  # readable from the last row of a classroom on a projector of 1,280 pixels
# Plotly finds the point under the pointer through a transform, but not through a zoom.
LARGE_TYPE = f"""<style>
.stMainBlockContainer {{ zoom: {LARGE_ZOOM}; }}
.stMainBlockContainer .js-plotly-plot {{
  zoom: calc(1 / {LARGE_ZOOM}); transform: scale({LARGE_ZOOM}); transform-origin: 0 0;
  width: calc(100% / {LARGE_ZOOM}) !important;
}}
.stMainBlockContainer .sc-chart.js-plotly-plot {{ inset: 0 auto auto 0; height: calc(100% / {LARGE_ZOOM}); }}
</style>"""


def asked(what: tuple[str, str]) -> bool:
    """Whether the page's address asks for it."""
    name, value = what
    return st.query_params.get(name) == value


def dress() -> None:
    """Large type, where the address asks for it; of every page."""
    if asked(LARGE):
        st.html(LARGE_TYPE)


def go_along() -> None:
    """Look at the run that the teacher looks at, where the address asks for it; before the page is drawn."""
    found = teacher_view(the_store()) if asked(FOLLOW) else None
    if found is not None and found.run != st.session_state.get(LOOKED_AT):
        open_run(found.run)


@st.fragment(run_every=LOOK_SECONDS)
def stay_along() -> None:
    """Says whom one follows, and draws the page anew when he turns to another run."""
    found = teacher_view(the_store())
    if found is not None and found.run != st.session_state.get(LOOKED_AT):
        st.rerun(scope="app")
    st.caption(say("class.following" if found else "class.nobody_leads"))


def show_way(run: Run) -> None:
    """Tell the class which run it sees, while this tab leads."""
    if not st.session_state.get(LEADS):
        return
    before = teacher_view(the_store())
    if before is None or before.run != run.id:
        set_teacher_view(the_store(), TeacherView(run.id))


def go_to_step() -> None:
    """The teacher has moved the replay: the class sees that step, or the newest when it is none."""
    run_id, _, step = (st.session_state["live"].get("seek") or "").partition(":")
    if run_id and st.session_state.get(LEADS):
        set_teacher_view(the_store(), TeacherView(run_id, int(step) if step else None))


def menu() -> None:
    """The link for the class, and leading it, for who may."""
    with st.popover(
        say("class.menu"), icon=":material/groups:", key="class_menu", help=say("class.menu.help")
    ):
        hidden = st.checkbox(say("class.hide"), value=True, help=say("class.hide.help"), key="class_hide")
        large = st.checkbox(say("class.large"), help=say("class.large.help"), key="class_large")
        follow = st.checkbox(say("class.follow"), help=say("class.follow.help"), key="class_follow")
        chosen = [what for what, wanted in ((HIDDEN, hidden), (LARGE, large), (FOLLOW, follow)) if wanted]
        st.caption(say("class.link"))
        st.code(_address(chosen), language=None, wrap_lines=True)
        person = visitor()
        if person.teacher or person.alone or st.session_state.get(LEADS):
            st.toggle(say("class.lead"), key=LEADS, help=say("class.lead.help"), on_change=_leave_class)
        else:
            st.caption(say("class.lead.who"))


def _leave_class() -> None:
    if not st.session_state[LEADS]:
        set_teacher_view(the_store(), None)


def _address(chosen: list[tuple[str, str]]) -> str:
    """This page's address with what is chosen; who follows needs no run of its own in it."""
    chosen_here = {name for name, _ in (HIDDEN, LARGE, FOLLOW)}
    kept = {name: value for name, value in st.query_params.items() if name not in chosen_here}
    if FOLLOW in chosen:
        kept = {"lang": st.session_state["lang"]}
    base = (st.context.url or "").split("?")[0].rstrip("/")
    return f"{base}/?{urlencode(kept | dict(chosen))}"
