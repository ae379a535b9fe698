"""What the Paper page shows of a reproduction: where it is from, the tables, the curve and the figures."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.words import LANGUAGES
from sparsecore.figures import metric_curve
from sparsecore.figures.paper import paper_figure
from sparsecore.report import report
from sparsecore.reproduce import gather, markup
from sparsecore.reproduce.comparison import Comparison
from sparsecore.reproduce.pictures import Picture, figures_of
from sparsecore.reproduce.plan import Plan
from sparsecore.reproduce.record import Reproduction, Trial
from sparsecore.runs.curves import METRICS
from sparsecore.thesis import printed

CONFIG = {"displaylogo": False}


def link(trial: Trial) -> str | None:
    """The address of a run in the Lab; None before it has begun."""
    if trial.run is None or trial.status in ("missing", "queued"):
        return None
    return f"/?run={trial.run}&lang={st.session_state['lang']}"


def tables(whole: Comparison, *, linked: bool) -> None:
    """How far down each method holds, the metric against ρ, and every cell with its reasons."""
    found = whole.found
    st.markdown(f"**{say('paper.breaks.title')}**")
    st.html(markup.breaks(whole, say))
    curve = metric_curve(
        found.points(), printed(whole.table.task), metric=METRICS[whole.table.task], say=say, logarithmic=True
    )
    _draw(curve.update_layout(title=None), say("paper.curve.title"), "paper_curve")
    st.html(markup.tables(whole, say, link if linked else markup.no_link))


def figures(plan: Plan, pictures: dict[str, Picture]) -> None:
    """The counterparts of the paper's figures; where the runs are missing, what it would show."""
    st.markdown(f"#### {say('paper.figures.title')}")
    for figure in figures_of(plan.table):
        asks = say(f"paper.figure.{figure.number}")
        title = f"{say('paper.figure.number', number=figure.number)} · {asks}"
        shown = gather.shown_in(figure, plan, pictures)
        if shown:
            _draw(paper_figure(figure, shown, say), title, f"paper_figure_{figure.number}")
        else:
            st.markdown(f"**{title}**")
            st.caption(say("paper.figure.missing"))


def _draw(figure: go.Figure, title: str, key: str) -> None:
    st.markdown(f"**{title}**")
    st.plotly_chart(figure, key=key, config=CONFIG, alt=title)


def settings(found: Reproduction) -> None:
    """What the thesis leaves open or misprints."""
    st.markdown(f"#### {say('paper.settings.title')}")
    st.html(markup.settings(found, say))


def provenance(found: Reproduction, pictures: dict[str, Picture]) -> None:
    """The command, the commit and the versions; and the report, made when it is asked for."""
    with st.container(border=True, key="paper_provenance"):
        st.html(markup.provenance(found, say))
        st.download_button(
            say("paper.download"),
            lambda: report(found, pictures, tuple(LANGUAGES)),
            f"sparsecore-{found.table}.html",
            "text/html",
            icon=":material/download:",
            help=say("paper.download.help"),
            on_click="ignore",
        )


def of_store(plan: Plan) -> tuple[Reproduction, dict[str, Picture]]:
    """What this server has of a plan."""
    return gather.found(the_store(), plan), gather.pictures(the_store(), plan)
