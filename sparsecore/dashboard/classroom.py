"""Class mode: links that hide the controls, large type, and students who follow the teacher.

The address holds the mode, so that links carry it: `controls=0`, `type=large`, `follow=1`. The store
holds what followers see: the teacher's run, and the step that the teacher replays.
"""

from urllib.parse import urlencode

import streamlit as st

from sparsecore.dashboard.controls import say, worded
from sparsecore.dashboard.session import LOOKED_AT, open_run, the_store
from sparsecore.dashboard.visitor import door, visitor
from sparsecore.runs.store.run import Run
from sparsecore.teaching.classroom import TeacherView, set_teacher_view, teacher_view

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


def is_requested(what: tuple[str, str]) -> bool:
    """Whether the page's address requests it."""
    name, value = what
    return st.query_params.get(name) == value


def is_student() -> bool:
    """Whether the page was opened by a link for students."""
    return is_requested(HIDDEN) or is_requested(FOLLOW)


def dress() -> None:
    """Use large type on every page if the address requests it."""
    if is_requested(LARGE):
        st.html(LARGE_TYPE)


def go_along() -> None:
    """Show the teacher's run if the address requests it; call before the page is drawn."""
    found = teacher_view(the_store()) if is_requested(FOLLOW) else None
    if found is not None and found.run != st.session_state.get(LOOKED_AT):
        open_run(found.run)


@st.fragment(run_every=LOOK_SECONDS)
def stay_along() -> None:
    """Say that the page follows the teacher, and redraw it when the teacher changes the run."""
    found = teacher_view(the_store())
    if found is not None and found.run != st.session_state.get(LOOKED_AT):
        st.rerun(scope="app")
    st.caption(say("class.following" if found else "class.nobody_leads"))


def show_way(run: Run) -> None:
    """Publish this tab's run to the class while it leads."""
    if not st.session_state.get(LEADS):
        return
    before = teacher_view(the_store())
    if before is None or before.run != run.id:
        set_teacher_view(the_store(), TeacherView(run.id))


def go_to_step() -> None:
    """Publish the replayed step to the class; the newest step for none."""
    run_id, _, step = (st.session_state["live"].get("seek") or "").partition(":")
    if run_id and st.session_state.get(LEADS):
        set_teacher_view(the_store(), TeacherView(run_id, int(step) if step else None))


def menu() -> None:
    """Show the link for the class and, to those who may lead it, the switch."""
    with st.popover(
        say("class.menu"), icon=":material/groups:", key="class_menu", help=say("class.menu.help")
    ):
        options = {"hide": HIDDEN, "large": LARGE, "follow": FOLLOW}
        chosen = [
            what
            for name, what in options.items()
            if st.checkbox(**worded(f"class.{name}"), value=name == "hide", key=f"class_{name}")
        ]
        st.caption(say("class.link"))
        st.code(_address(chosen), language=None, wrap_lines=True)
        person = visitor()
        if person.teacher or person.alone or st.session_state.get(LEADS):
            st.toggle(**worded("class.lead"), key=LEADS, on_change=_leave_class)
        else:
            st.caption(say("class.lead.code" if door().code else "class.lead.who"))


def _leave_class() -> None:
    if not st.session_state[LEADS]:
        set_teacher_view(the_store(), None)


def _address(chosen: list[tuple[str, str]]) -> str:
    """Return this page's address with the chosen options; a following page needs no run."""
    chosen_here = {name for name, _ in (HIDDEN, LARGE, FOLLOW)}
    kept = {name: value for name, value in st.query_params.items() if name not in chosen_here}
    if FOLLOW in chosen:
        kept = {"lang": st.session_state["lang"]}
    base = (st.context.url or "").split("?")[0].rstrip("/")
    return f"{base}/?{urlencode(kept | dict(chosen))}"
