"""The entries of the challenge: weights against the judge's metric, and the target."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from sparsecore.figures.style import COUNT_AXIS, apply_layout, colour, legend_only
from sparsecore.teaching.challenge import Challenge
from sparsecore.teaching.leaderboard import Entry
from sparsecore.words import Say


def leaderboard_figure(entries: Sequence[Entry], challenge: Challenge, *, say: Say) -> go.Figure:
    """Draw one point per entry in its method's colour; names are in the table, not in the hover."""
    figure = go.Figure()
    methods = tuple(dict.fromkeys(entry.run.config.method for entry in entries))
    for method in methods:
        group = [entry for entry in entries if entry.run.config.method == method]
        figure.add_trace(
            go.Scatter(
                x=[entry.nonzeros for entry in group],
                y=[entry.value for entry in group],
                mode="markers",
                marker={"color": colour(method), "size": 11},
                name=say(f"method.{method}"),
                customdata=[[entry.run.id, entry.rank] for entry in group],
                hovertemplate=say("challenge.hover"),
            )
        )
    limit = {"color": "#7f7f7f", "dash": "dash", "width": 1.5}
    figure.add_hline(y=challenge.limit, line=limit, name=say("figure.limit"))
    figure.add_trace(legend_only(say("figure.limit"), mode="lines", line=limit))
    y = {"title": {"text": say(f"live.metric.{challenge.metric}"), "standoff": 8}}
    if not challenge.lower:
        y["tickformat"] = ".1%"
    x = {"title": {"text": say("challenge.weights"), "standoff": 8}} | COUNT_AXIS
    return apply_layout(figure, say("challenge.figure"), y, say, logarithmic=True, x=x, columns=())
