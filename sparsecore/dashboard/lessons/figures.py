"""The figures of lessons: interactive; parts that reveal the answer appear after it."""

from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from sparsecore.dashboard import saved_figures
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.lessons import computed
from sparsecore.dashboard.session import the_store
from sparsecore.engine.analysis.least_squares import path
from sparsecore.engine.tasks.points import best_accuracy
from sparsecore.figures import teaching as figures
from sparsecore.figures.plane import half_width, plane
from sparsecore.figures.supports import spectrum
from sparsecore.runs.insights.masks import forecast
from sparsecore.runs.store.run import Run
from sparsecore.teaching.lessons import Lesson

# (n, true weights, condition, noise, seed). Both axes of TWO_ENDS are L-stationary for L > L(f), one optimal;
# the worse axis of ONE_FALLS is only from L = 1.44 on. Each has L(f) = 1.
TWO_ENDS = (2, 2, 6.0, 0.1, 1)
ONE_FALLS = (2, 2, 6.0, 0.1, 26)
FIFTY = (50, 2, 10.0, 0.1, 1)
FIVE_OF_FIFTY = (50, 5, 30.0, 0.1, 1)
START = (-0.5, -2.5)
SAFE = 1.05  # L, in units of L(f)
DESCENTS = (0.25, 0.45, SAFE, 3.0, 10.0)
DRAWN_STEPS = 41
MOST_RISE = 3.0  # of f over its start: what flies off further is cut
CONFIG = {"displayModeBar": False}


def draw(figure: go.Figure, key: str, name: str | None = None) -> None:
    """Draw a figure of Lessons or Theory; name: of its files, by default its key."""
    saved_figures.draw(figure, key, name or key.replace("_", "-"), config=CONFIG)


def lesson_figure(lesson: Lesson, run: Run | None, *, revealed: bool) -> None:
    """Draw the figure of a lesson with its sliders; run: the run shown next to it, if any."""
    if lesson.figure == "retention":
        _retention(run)
    else:
        FIGURES[lesson.figure](revealed)


def _slider(word: str, low: float, high: float, value: float, step: float) -> float:
    return st.slider(say(f"lessons.slider.{word}"), low, high, value, step, key=f"lesson_{word}")


def _threshold(revealed: bool) -> None:
    given, found = computed.problem(*TWO_ENDS), computed.points(TWO_ENDS, 1)
    start, lipschitz, ends = START, SAFE, None
    if revealed:
        columns = st.columns(3)
        with columns[0]:
            start = (_slider("w1", -3.0, 3.0, START[0], 0.25), start[1])
        with columns[1]:
            start = (start[0], _slider("w2", -3.0, 3.0, START[1], 0.25))
        with columns[2]:
            lipschitz = _slider("lipschitz", 0.3, 4.0, SAFE, 0.05)
        ends = computed.basins(TWO_ENDS, lipschitz, half_width(found))
    iterates = path(given, np.array(start), 1, lipschitz)
    shown = iterates if revealed else iterates[:1]
    draw(plane(given, found, lipschitz, say, paths=[shown], ends=ends, show_points=revealed), "lesson_plane")


def _nested(revealed: bool) -> None:
    lipschitz = _slider("lipschitz", 0.3, 4.0, SAFE, 0.05)
    two = computed.points(ONE_FALLS, 1)
    if not revealed:
        draw(plane(computed.problem(*ONE_FALLS), two, lipschitz, say), "lesson_plane")
        return
    found = computed.points(FIFTY, 2)
    counts = {"all": f"{len(found.value):,}", "basic": f"{int(found.basic_feasible.sum()):,}"}
    st.markdown(
        say("lessons.counted", l=f"{lipschitz:g}", few=int(found.stationary(lipschitz).sum()), **counts)
    )
    draw(spectrum(found, lipschitz, say), "lesson_spectrum")


def _descent(revealed: bool) -> None:
    given = computed.problem(*FIVE_OF_FIFTY)
    shown = [ratio for ratio in DESCENTS if revealed or ratio == SAFE]
    values = {ratio: given.value(path(given, np.zeros(given.n), 5, ratio)) for ratio in shown}
    cut = {ratio: value[value <= MOST_RISE * value[0]][:DRAWN_STEPS] for ratio, value in values.items()}
    draw(figures.descent(cut, say), "lesson_descent")


def _subsets(revealed: bool) -> None:
    left, right = st.columns(2)
    with left:
        rows = _slider("rows", 12, 60, 20, 2)
    with right:
        noise = _slider("noise", 0.0, 2.0, 1.0, 0.25)
    found = computed.subsets(rows, noise, 0)
    draw(figures.subset_errors(found, say, tested=revealed), "lesson_subsets")
    if revealed:
        best = int(found.sizes[found.test.argmin()])
        worst = found.test[-1] / found.test.min() - 1
        st.caption(say("lessons.subsets.found", best=best, more=f"{worst:.0%}", draws=computed.DRAWS))


def _spirals(revealed: bool) -> None:
    noise = _slider("angle", 0.0, 3.0, 1.0, 0.05)
    draw(figures.spirals(*computed.drawn_spirals(noise), say), "lesson_spirals")
    if revealed:
        here = noise, best_accuracy(noise)
        draw(figures.ceiling(computed.NOISES, computed.best_accuracies(), here, say), "lesson_ceiling")


def _storage(revealed: bool) -> None:
    densities = np.linspace(0.002, 1.0, 250)
    draw(figures.storage(densities, computed.stored(densities), say, bitmask=revealed), "lesson_storage")
    if not revealed:
        return
    batch = st.segmented_control(
        say("lessons.slider.batch"), (1, 64), default=1, required=True, key="lesson_batch"
    )
    dense, csr, at = computed.product_times(batch)
    draw(figures.speed(computed.MEASURED, dense, csr, at, say), "lesson_speed")
    key = "lessons.speed.none" if at is None else "lessons.speed.at"
    st.caption(say(key, at="" if at is None else f"{at:.0%}", batch=batch))


def _retention(run: Run | None) -> None:
    """Measured at every page run; a training run triggers one when it ends."""
    found = None if run is None else forecast(the_store(), run.id)
    if found is None:
        st.info(say("lessons.retention.waiting"), icon=":material/hourglass_empty:")
        return
    draw(figures.retention(found, say), "lesson_retention", f"run-{run.id}-retention")
    step, by_counts, by_mask = found.at(0.5)
    shares = {"counts": f"{by_counts:.0%}", "mask": f"{by_mask:.0%}", "chance": f"{found.by_chance:.0%}"}
    st.caption(say("lessons.retention.found", step=f"{step:,}", **shares))


FIGURES: dict[str, Callable[[bool], None]] = {
    "threshold": _threshold,
    "nested": _nested,
    "descent": _descent,
    "subsets": _subsets,
    "spirals": _spirals,
    "storage": _storage,
}
