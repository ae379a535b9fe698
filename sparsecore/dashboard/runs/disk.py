"""How much disk the runs take, and room made: which runs would go, and, after asking, their removal."""

from functools import partial

import streamlit as st

from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.jobs import Job, in_background
from sparsecore.dashboard.session import the_store
from sparsecore.runs.store import disk
from sparsecore.runs.store.database import StoreError
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.store import Store
from sparsecore.settings import read_setting, size_text

PRUNING = "pruning"  # in the session: the last requested removal
ROOM, TARGET = "disk_room", "disk_target"
MB = 1_000_000
POLL_SECONDS = 0.5


def show(person: Person) -> None:
    """What the store takes, of how much, and the way to make room."""
    store = the_store()
    now = disk.usage(store)
    try:
        most = read_setting("max_disk")
    except ValueError as error:
        st.error(plain(error))
        most = None
    used = size_text(now.used)
    if most is None:
        st.markdown(say("disk.used", used=used))
    else:
        st.progress(min(1.0, now.used / most), say("disk.used_of", used=used, most=size_text(most)))
        if now.used > most:
            st.warning(say("disk.over"))
    _finished()
    room = st.popover(say("disk.room"), icon=":material/cleaning_services:", key=ROOM, on_change="rerun")
    if room.open:  # the runs to remove are looked up only when opened
        with room:
            _ask(store, person, most or now.used // 2)


def _ask(store: Store, person: Person, usual: int) -> None:
    """The wanted size, the runs that would go, and the question."""
    megabytes = st.number_input(
        say("disk.target"), min_value=0, value=max(1, usual // MB), step=100, key=TARGET
    )
    plan = disk.plan_removal(store, int(megabytes) * MB, person)
    if not plan.runs:
        _nothing_goes(plan, person)
        return
    _table(plan)
    if not plan.enough:
        st.caption(say("disk.not_enough", after=size_text(plan.after)))
    ids = [run.id for run, _ in plan.runs]
    sure = st.checkbox(say("disk.sure", number=f"{len(ids):,}", after=size_text(plan.after)))
    st.button(
        say("disk.remove", number=f"{len(ids):,}"),
        icon=":material/delete_forever:",
        type="primary",
        key="disk_remove",
        disabled=not sure,
        on_click=_begin,
        args=(ids, person),
    )


def _table(plan: disk.RemovalPlan) -> None:
    """The runs that would go, with what each takes."""
    st.dataframe(
        [
            {
                "run": run.id,
                "name": run.name or "",
                "task": say(f"task.{run.config.task}"),
                "method": say(f"method.{run.config.method}"),
                "density": run.config.used().get("density"),
                "state": say(f"state.{run.reason or run.state}"),
                "size": size_text(size),
            }
            for run, size in plan.runs
        ],
        hide_index=True,
        placeholder="",
        height="content" if len(plan.runs) < 8 else 280,
        column_config={
            "density": st.column_config.NumberColumn("ρ", format="%g"),
            "size": say("disk.size"),
            **{name: say(f"runs.{name}") for name in ("run", "name", "task", "method", "state")},
        },
    )


def _nothing_goes(plan: disk.RemovalPlan, person: Person) -> None:
    """Why no run would go; what is free inside the store can be given back all the same."""
    if not plan.enough:
        st.caption(say("disk.nothing"))
    elif plan.usage.used <= plan.target:
        st.caption(say("disk.fits"))
    else:
        free = size_text(plan.usage.free)
        st.caption(say("disk.free", free=free))
        give = say("disk.give", free=free)
        st.button(give, icon=":material/compress:", key="disk_remove", on_click=_begin, args=([], person))


def _begin(ids: list[str], person: Person) -> None:
    st.session_state[PRUNING] = in_background(partial(disk.prune, the_store(), ids, person))


def _finished() -> None:
    """How far the removal is, and what it came to."""
    work: Job | None = st.session_state.get(PRUNING)
    if work is None:
        return
    if not work.wait():
        _progress(work)
        return
    del st.session_state[PRUNING]
    try:
        gone = work.result()
        st.success(say("disk.done", number=f"{gone:,}", used=size_text(disk.usage(the_store()).used)))
    except StoreError as error:
        st.error(plain(error))


@st.fragment(run_every=POLL_SECONDS)
def _progress(work: Job) -> None:
    if work.is_over:
        st.rerun()
    st.progress(work.share, say("disk.removing"))
