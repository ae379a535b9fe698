"""The viewed sweep: its choice, its progress, and its Stop and Resume."""

from collections.abc import Callable

import streamlit as st

from sparsecore.dashboard import widgets
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.saved_figures import control
from sparsecore.dashboard.session import put_in_address, the_store
from sparsecore.dashboard.sweep.form import WORKERS, duration
from sparsecore.dashboard.sweep.results import cells_csv
from sparsecore.dashboard.visitor import attempt, hint, may, ownership, visitor
from sparsecore.engine.config import every_parameter
from sparsecore.figures.csv import EXCEL_ENCODING
from sparsecore.figures.html.sweep_grid import (
    failure_notes,
    grid_html,
    legend_html,
    progress_bar,
    running_links,
)
from sparsecore.runs.sweeps import estimates, stored
from sparsecore.runs.sweeps.spec import FINISHED, Cell, count_ended
from sparsecore.runs.sweeps.stored import Sweep

LOOKED_AT = "sweep_looked_at"  # in the session: what the URL forgets when another page is opened
LISTED = "sweep_listed"  # the list of earlier sweeps
DRAWN = "sweep_drawn"  # in the session: how many cells had ended when the page's figures were drawn
EARLIER = 30  # sweeps to choose from
GRID = "sweep_grid"  # the container of the cells
LIVE_SECONDS, IDLE_SECONDS = 1.0, 10.0
UNFINISHED = ("queued", "running")


def linked_sweep() -> Sweep | None:
    """Return the sweep of the URL, else the last viewed, else the newest of this server.

    A link with settings and no sweep opens with the settings: the newest sweep would replace them.
    """
    linked = st.query_params.get("sweep")
    wanted = linked or st.session_state.get(LOOKED_AT)
    found = stored.get(the_store(), wanted) if wanted else None
    if found is None and not linked and not every_parameter().keys() & st.query_params.keys():
        found = next(iter(stored.recent(the_store(), 1)), None)
    if found is not None:
        open_sweep(found.id)
    return found


def open_sweep(sweep_id: str) -> None:
    """View this sweep from now on and put it into the URL."""
    st.session_state[LOOKED_AT] = sweep_id
    put_in_address({"sweep": sweep_id, "lang": st.session_state["lang"]})


def about(sweep: Sweep) -> str:
    """Describe a sweep in a few words."""
    spec = sweep.spec
    methods = ", ".join(say(f"method.{name}") for name in spec.methods)
    size = say(f"size.{spec.parameters.get('size', 'demo')}")
    words = {"densities": len(spec.densities), "seeds": len(spec.seeds), "methods": methods, "size": size}
    return say("sweep.about", task=say(f"task.{spec.task}"), **words)


def earlier(sweep: Sweep) -> None:
    """Draw the list of this server's sweeps; a choice opens a sweep."""
    known = {each.id: each for each in stored.recent(the_store(), EARLIER)} | {sweep.id: sweep}
    labels = {sweep_id: _label(each) for sweep_id, each in known.items()}
    st.session_state[LISTED] = sweep.id
    st.selectbox(
        say("sweep.earlier"),
        list(labels),
        format_func=lambda sweep_id: labels[sweep_id],
        key=LISTED,
        on_change=lambda: open_sweep(st.session_state[LISTED]),
    )


def _label(sweep: Sweep) -> str:
    return f"{about(sweep)} · {widgets.minute(sweep.created)} · {sweep.id}"


def live(sweep: Sweep, cells: list[Cell]) -> None:
    """Show the sweep's progress, updated once a second; cells: as the page has just read them."""
    st.session_state[DRAWN] = sweep.id, count_ended(cells)
    every = LIVE_SECONDS if _going(sweep, cells) else IDLE_SECONDS
    st.fragment(_state, run_every=every)(sweep.id, [cells])
    control(
        GRID,
        f"sweep-{sweep.id}-cells",
        say("sweep.alt.grid"),
        lambda: cells_csv(cells).encode(EXCEL_ENCODING),
    )


def _state(sweep_id: str, fresh: list[list[Cell]]) -> None:
    """fresh: what the page has just read, for the first time only."""
    sweep = stored.get(the_store(), sweep_id)
    cells = fresh.pop() if fresh else stored.cells_of(the_store(), sweep.spec)
    if st.session_state.get(DRAWN) != (sweep_id, count_ended(cells)):
        st.rerun()  # a cell has ended: only now are the figures drawn again
    going = _going(sweep, cells)
    with st.container(horizontal=True, vertical_alignment="center", key="sweep_state"):
        st.markdown(_line(sweep, cells))
        st.space("stretch")
        if going:
            _button("stop", ":material/stop:", stored.stop, sweep)
        elif any(cell.status not in FINISHED for cell in cells):
            _button("resume", ":material/resume:", stored.resume, sweep)
    language = st.session_state["lang"]
    drawn = running_links(cells, say, language) + grid_html(cells, say, language)
    with st.container(key=GRID):
        st.html(progress_bar(cells, say) + drawn + legend_html(cells, say) + failure_notes(cells, say))


def _button(action: str, icon: str, act: Callable[..., None], sweep: Sweep) -> None:
    words = {"label": say(f"sweep.{action}"), "help": hint(sweep, say(f"sweep.{action}.help"))}
    if st.button(**words, icon=icon, key=f"sweep_do_{action}", disabled=not may(sweep)):
        attempt(act, the_store(), sweep.id, by=visitor())
        st.rerun()


def _going(sweep: Sweep, cells: list[Cell]) -> bool:
    return sweep.state == "running" and any(cell.status in UNFINISHED for cell in cells)


def _line(sweep: Sweep, cells: list[Cell]) -> str:
    """Describe the runs done, training and failed, and the remaining time."""
    known = estimates.recently_finished(the_store(), cells[0].config)
    progress = estimates.progress(cells, WORKERS, known)  # as the plan above estimates it
    if progress.done == progress.total:
        return say("sweep.done", total=f"{progress.total:,}")
    parts = [say("sweep.parts", done=f"{progress.done:,}", total=f"{progress.total:,}")]
    parts += [say("sweep.parts.running", n=progress.running)] if progress.running else []
    parts += [say("sweep.parts.failed", n=progress.failed)] if progress.failed else []
    if _going(sweep, cells):
        parts.append(say("sweep.left", time=duration(progress.seconds_left)))
    elif progress.done + progress.failed < progress.total:
        parts.append(say("sweep.held"))
    if progress.done < progress.total and not may(sweep):
        parts.append(say(f"owner.{ownership(sweep)}.sweep"))
    return " · ".join(parts)
