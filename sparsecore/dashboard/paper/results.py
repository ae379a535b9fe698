"""The results on the Paper page: provenance, tables, the curve, the figures; table 3-5 as measured."""

import subprocess
import time
from functools import partial
from typing import Any

import streamlit as st

from sparsecore.dashboard import widgets
from sparsecore.dashboard.controls import languages, plain, say
from sparsecore.dashboard.jobs import SHORT_JOBS, JobError, run_command
from sparsecore.dashboard.saved_figures import draw
from sparsecore.dashboard.session import the_store
from sparsecore.figures.html import paper_tables
from sparsecore.figures.paper import paper_curve, paper_figure, paper_title
from sparsecore.figures.reports.paper import paper_report
from sparsecore.paper import thesis
from sparsecore.paper.comparison import Comparison
from sparsecore.paper.pictures import Picture, figures_of
from sparsecore.paper.plan import TablePlan
from sparsecore.paper.reproduction import (
    ReproducedRun,
    Reproduction,
    load_pictures,
    load_reproduction,
    pictures_of,
)
from sparsecore.paper.thesis import PAPER_BLOCKS, SORTING
from sparsecore.runs.store.store import Store


def link(trial: ReproducedRun) -> str | None:
    """The address of a run in the Lab; None before it has begun."""
    if trial.run is None or trial.status in ("missing", "queued"):
        return None
    return f"./?run={trial.run}&lang={st.session_state['lang']}"


def tables(whole: Comparison, *, linked: bool) -> None:
    """How far down each method holds, the metric against ρ, and every cell with its reasons."""
    found = whole.reproduction
    st.markdown(f"**{say('paper.breaks.title')}**")
    st.html(paper_tables.breaking_points(whole, say))
    title = say("paper.curve.title")
    st.markdown(f"**{title}**")
    draw(paper_curve(found, say), "paper_curve", f"table-{found.table}-curve", title=title)
    st.html(paper_tables.comparison_tables(whole, say, link if linked else None))


def figures(plan: TablePlan, pictures: dict[str, Picture]) -> None:
    """The counterparts of the paper's figures; where the runs are missing, what it would show."""
    st.markdown(f"#### {say('paper.figures.title')}")
    for figure in figures_of(plan.table):
        title = paper_title(figure, say)
        shown = pictures_of(figure, plan, pictures)
        st.markdown(f"**{title}**")
        if shown:
            key, name = f"paper_figure_{figure.number}", f"figure-{figure.number}"
            draw(paper_figure(figure, shown, say), key, name, title=title)
        else:
            st.caption(say("paper.figure.missing"))


def settings(found: Reproduction) -> None:
    """What the thesis leaves open or misprints."""
    st.markdown(f"#### {say('paper.settings.title')}")
    st.html(paper_tables.assumptions_table(found, say))


def provenance(found: Reproduction, pictures: dict[str, Picture]) -> None:
    """Show command, commit and versions, and the report, made on request."""
    with st.container(border=True, key="paper_provenance"):
        st.html(paper_tables.provenance(found, say))
        st.download_button(
            say("paper.download"),
            partial(paper_report, found, pictures, languages()),
            f"sparsecore-{found.table}.html",
            "text/html",
            icon=":material/download:",
            help=say("paper.download.help"),
            on_click="ignore",
        )


def of_store(plan: TablePlan) -> tuple[Reproduction, dict[str, Picture]]:
    """What this server has of a plan."""
    return load_reproduction(the_store(), plan), load_pictures(the_store(), plan)


KEPT = "paper.sorting"  # the setting of the store that holds the last measurement
TIMEOUT_SECONDS = 300  # two full heap sorts in Python, on a busy machine


def measure(store: Store) -> dict[str, Any]:
    """Table 3-5, measured in a child process. Raises JobError, or TimeoutExpired."""
    found = run_command("reproduce", SORTING, store=store, seconds=TIMEOUT_SECONDS)
    return found | {"measured": time.time()}


def sorting() -> None:
    """The table as it was last measured here, or the thesis's seconds alone; and the button that measures."""
    found = the_store().setting(KEPT, dict)
    shown = found or {"paper": thesis.tables()[SORTING], "rows": [], "blocks": PAPER_BLOCKS}
    st.html(paper_tables.sorting_table(shown, say))
    if found:
        st.caption(say("paper.sorting.at", when=widgets.minute(found["measured"])))
        st.caption(say("paper.sorting.why", share=f"{found['density']:.0%}"))
        st.markdown(f"**{say('paper.sorting.large')}**")
        st.markdown("\n".join(f"- {text}" for text in paper_tables.sorting_sentences(found, say)))
        st.code(found["measured_by"], language=None)
    else:
        st.caption(say("paper.sorting.none"))
    if st.button(say("paper.sorting.measure"), icon=":material/timer:", type="primary", key="paper_measure"):
        _measure()


def _measure() -> None:
    with st.spinner(say("paper.sorting.running"), show_time=True):
        try:
            the_store().set_setting(KEPT, SHORT_JOBS.start(lambda _: measure(the_store())).result())
        except JobError as error:
            st.error(say("paper.sorting.refused", reason=plain(error)))
            return
        except subprocess.TimeoutExpired:
            st.error(say("predict.slow", seconds=TIMEOUT_SECONDS))
            return
    st.rerun()
