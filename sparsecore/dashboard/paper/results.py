"""What the Paper page shows of a reproduction: where it is from, the tables, the curve and the figures."""

from __future__ import annotations

import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.saved_figures import draw
from sparsecore.dashboard.session import the_store
from sparsecore.engine.cards import tasks
from sparsecore.figures.html import paper_tables
from sparsecore.figures.metric import metric_curve
from sparsecore.figures.paper import paper_figure
from sparsecore.figures.reports.paper import paper_report
from sparsecore.paper import stored_runs
from sparsecore.paper.comparison import Comparison
from sparsecore.paper.pictures import Picture, figures_of
from sparsecore.paper.plan import TablePlan
from sparsecore.paper.reproduction import ReproducedRun, Reproduction
from sparsecore.paper.thesis import printed
from sparsecore.words import LANGUAGES


def link(trial: ReproducedRun) -> str | None:
    """The address of a run in the Lab; None before it has begun."""
    if trial.run is None or trial.status in ("missing", "queued"):
        return None
    return f"/?run={trial.run}&lang={st.session_state['lang']}"


def tables(whole: Comparison, *, linked: bool) -> None:
    """How far down each method holds, the metric against ρ, and every cell with its reasons."""
    found = whole.reproduction
    st.markdown(f"**{say('paper.breaks.title')}**")
    st.html(paper_tables.breaking_points(whole, say))
    curve = metric_curve(
        found.points(),
        printed(whole.table.task),
        metric=tasks()[whole.table.task].metric.name,
        say=say,
        logarithmic=True,
    )
    title = say("paper.curve.title")
    st.markdown(f"**{title}**")
    draw(curve.update_layout(title=None), "paper_curve", f"table-{found.table}-curve", title=title)
    st.html(paper_tables.comparison_tables(whole, say, link if linked else paper_tables.no_link))


def figures(plan: TablePlan, pictures: dict[str, Picture]) -> None:
    """The counterparts of the paper's figures; where the runs are missing, what it would show."""
    st.markdown(f"#### {say('paper.figures.title')}")
    for figure in figures_of(plan.table):
        question = say(f"paper.figure.{figure.number}")
        title = f"{say('paper.figure.number', number=figure.number)} · {question}"
        shown = stored_runs.pictures_of(figure, plan, pictures)
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
            lambda: paper_report(found, pictures, tuple(LANGUAGES)),
            f"sparsecore-{found.table}.html",
            "text/html",
            icon=":material/download:",
            help=say("paper.download.help"),
            on_click="ignore",
        )


def of_store(plan: TablePlan) -> tuple[Reproduction, dict[str, Picture]]:
    """What this server has of a plan."""
    return stored_runs.load_reproduction(the_store(), plan), stored_runs.load_pictures(the_store(), plan)
