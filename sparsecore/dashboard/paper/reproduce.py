"""The Paper page's own runs: choices, progress, and the buttons that start and stop them."""

import streamlit as st

from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.sweep.form import WORKERS, Misread, duration, read_seeds
from sparsecore.dashboard.visitor import attempt, may, visitor
from sparsecore.engine.cards import tasks
from sparsecore.figures.html.sweep_grid import progress_bar
from sparsecore.paper.plan import TablePlan
from sparsecore.paper.reproduction import all_cells, enqueue, enqueued_sweeps
from sparsecore.paper.thesis import SORTING, TABLES, paper_table
from sparsecore.runs.sweeps import estimates, stored
from sparsecore.runs.sweeps.spec import Cell, count_ended

TABLE = "table"  # in the URL
CHOSEN, LOOKED_AT = "paper_table", "paper_looked_at"  # the widget; what the URL forgets on another page
SIZE, SEEDS, FURTHER, SOURCE = "paper_size", "paper_seeds", "paper_further", "paper_source"
NEXT = "paper_source_next"  # in the session: what a press of Reproduce wants to be shown
USUAL_SEEDS = "0, 1, 2"
MOST_SEEDS = 20  # a table has some thirty runs a seed
DRAWN = "paper_drawn"  # in the session: the plan that is drawn, and how many of its runs had ended
LIVE_SECONDS, IDLE_SECONDS = 2.0, 15.0


def table() -> str:
    """The table that is looked at: that of the URL, until another is chosen."""
    names = (*TABLES, SORTING)
    chosen_plan = st.query_params.get(TABLE) or st.session_state.get(LOOKED_AT)
    st.session_state[CHOSEN] = chosen_plan if chosen_plan in names else names[0]
    chosen = st.segmented_control(
        say("paper.choose"),
        names,
        required=True,
        format_func=lambda name: say(f"paper.table.{name}"),
        key=CHOSEN,
        on_change=lambda: st.query_params.update({TABLE: st.session_state[CHOSEN]}),
    )
    st.session_state[LOOKED_AT] = chosen
    if st.query_params.get(TABLE) != chosen:
        st.query_params[TABLE] = chosen
    return chosen


def source(has_shipped: bool) -> str:
    """Which reproduction is shown: the shipped one, or the runs of this server."""
    if not has_shipped:
        return "store"
    # Set in the session, not as a default: a widget with another default is another widget.
    wanted = st.session_state.pop(NEXT, None)
    st.session_state[SOURCE] = wanted or st.session_state.get(SOURCE, "shipped")
    return st.segmented_control(
        say("paper.source"),
        ("shipped", "store"),
        required=True,
        format_func=lambda name: say(f"paper.source.{name}"),
        key=SOURCE,
    )


def chosen_plan(table: str) -> TablePlan | None:
    """Return the plan of the choices; None if the seeds are invalid, which their field shows."""
    sizes = list(tasks()[paper_table(table).task].sizes)
    with st.container(horizontal=True, vertical_alignment="bottom", key="paper_choices"):
        size = st.segmented_control(
            say("paper.run.size"),
            sizes,
            default=sizes[-1],
            required=True,
            format_func=lambda name: say(f"size.{name}"),
            key=f"{SIZE}_{table}",
        )
        given = st.text_input(
            say("paper.run.seeds"), USUAL_SEEDS, help=say("paper.run.seeds.help"), key=SEEDS, width=160
        )
        further = st.toggle(say("paper.run.further"), help=say("paper.run.further.help"), key=FURTHER)
    try:
        seeds = read_seeds(given)
    except Misread as error:
        st.error(say(error.key, value=plain(error.value)))
        return None
    if not 1 <= len(seeds) <= MOST_SEEDS:
        st.error(say("sweep.problem.empty") if not seeds else say("paper.run.many", most=MOST_SEEDS))
        return None
    return TablePlan(table, seeds, size, further)


def live(plan: TablePlan) -> None:
    """How far the plan's runs are, by itself every two seconds, with Reproduce or Stop."""
    cells = all_cells(the_store(), plan)
    st.session_state[DRAWN] = plan, count_ended(cells)
    every = LIVE_SECONDS if _going(plan, cells) else IDLE_SECONDS
    st.fragment(_state, run_every=every)(plan)


def _state(plan: TablePlan) -> None:
    cells = all_cells(the_store(), plan)
    if st.session_state.get(DRAWN) != (plan, count_ended(cells)):
        st.rerun()  # a run has ended: only now are the tables and figures drawn again
    going = _going(plan, cells)
    with st.container(horizontal=True, vertical_alignment="center", key="paper_state"):
        if going:
            mine = any(may(sweep) for sweep in _running(plan))
            words = {} if mine else {"help": say("owner.others.help"), "disabled": True}
            _button("stop", ":material/stop:", _stop, plan, **words)
        elif count_ended(cells) < len(cells):
            _button("begin", ":material/play_arrow:", _begin, plan, type="primary")
        st.markdown(_line(plan, cells, going))
    if any(cell.run is not None for cell in cells) and count_ended(cells) < len(cells):
        st.html(progress_bar(cells, say))


def _button(action: str, icon: str, act, plan: TablePlan, **options) -> None:
    words = {"label": say(f"paper.run.{action}"), "help": say(f"paper.run.{action}.help")} | options
    if st.button(**words, icon=icon, key=f"paper_do_{action}"):
        act(plan)
        st.rerun()


def _begin(plan: TablePlan) -> None:
    enqueue(the_store(), plan, by=visitor())
    st.session_state[NEXT] = "store"


def _stop(plan: TablePlan) -> None:
    person = visitor()
    for sweep in _running(plan):
        if person.may(sweep.owner, sweep.origin):
            attempt(stored.stop, the_store(), sweep.id, by=person)


def _running(plan: TablePlan) -> list[stored.Sweep]:
    return [sweep for sweep in enqueued_sweeps(the_store(), plan) if sweep.state == "running"]


def _going(plan: TablePlan, cells: list[Cell]) -> bool:
    waits = any(cell.status in ("queued", "running") for cell in cells)
    return waits and bool(_running(plan))


def _line(plan: TablePlan, cells: list[Cell], going: bool) -> str:
    """How many runs there are, how many are left, and how long that takes."""
    left = len(cells) - count_ended(cells)
    if not left:
        return say("paper.run.all_there", runs=len(cells))
    if going:
        known = estimates.recently_finished(the_store(), cells[0].config)
        found = estimates.progress(cells, WORKERS, known)
        time = duration(found.seconds_left)
        counts = {"done": count_ended(cells), "total": len(cells), "running": found.running}
        return say("paper.run.progress", time=time, **counts)
    seconds = sum(stored.estimate(the_store(), spec, WORKERS) for spec in plan.specs().values())
    return say("paper.run.about", runs=len(cells), left=left, time=duration(seconds), workers=WORKERS)
