"""The playground of the Theory page: least squares of 2, 3 or 50 weights, seen whole."""

from dataclasses import dataclass
from math import comb
from typing import Any

import streamlit as st

from sparsecore.dashboard.controls import say, worded
from sparsecore.dashboard.lessons import computed
from sparsecore.dashboard.lessons.figures import draw
from sparsecore.figures.plane import half_width, kinds, plane
from sparsecore.figures.supports import along_axes, end_counts, spectrum, three_planes

SIZES = (2, 3, 50)
LARGEST_BUDGET = {2: 1, 3: 2, 50: 12}
CONDITIONS = (1, 2, 5, 10, 30, 100)


@dataclass(frozen=True)
class Asked:
    """The values of the sliders."""

    n: int
    s: int
    lipschitz: float
    condition: float
    noise: float
    seed: int

    @property
    def problem(self) -> tuple[int, int, float, float, int]:
        """What names the problem among the computed ones: its true weights are as many as the budget.

        In the plane both weights are true ones, so that one axis alone cannot be right.
        """
        return self.n, self.n if self.n < 4 else self.s, self.condition, self.noise, self.seed


def chosen_problem() -> Asked:
    """Draw the sliders in one row; a link may set n."""
    given = st.query_params.get("n", "")
    st.session_state.setdefault("theory_n", int(given) if given in map(str, SIZES) else 2)
    with st.container(horizontal=True, vertical_alignment="bottom", key="theory_sliders"):
        n = st.segmented_control(say("theory.slider.n"), SIZES, required=True, key="theory_n")
        most = LARGEST_BUDGET[n]
        s = 1
        if most > 1:
            s = st.slider(say("theory.slider.s"), 1, most, 2, key=f"theory_s_{n}", width=180)
        lipschitz = st.slider(**_widget("lipschitz", 1.05), min_value=0.3, max_value=6.0, step=0.05)
        condition = st.select_slider(**_widget("condition", 10), options=CONDITIONS)
        noise = st.slider(**_widget("noise", 0.1), min_value=0.0, max_value=1.0, step=0.05)
        seed = st.number_input(**_widget("seed", 1, 120), min_value=0, max_value=9999)
    return Asked(n, s, lipschitz, float(condition), noise, seed)


def _widget(name: str, value: float, width: int = 180) -> dict[str, Any]:
    return worded(f"theory.slider.{name}") | {"value": value, "key": f"theory_{name}", "width": width}


@st.fragment
def playground() -> None:
    """Draw sliders and figures in a fragment, so that a change does not rerun the page."""
    of = chosen_problem()
    points = computed.points(of.problem, of.s)
    if points is None:
        count = f"{comb(of.n, of.s):,}"
        st.markdown(say("theory.many", all=count, starts=computed.STARTS))
        _ends(of, None)
        return
    is_ = kinds(points, of.lipschitz)
    counts = {
        "basic": int(points.basic_feasible.sum()),
        "stationary": int(points.stationary(of.lipschitz).sum()),
    }
    totals = {name: f"{count:,}" for name, count in counts.items()} | {"optimal": is_.count("optimal")}
    st.markdown(say("theory.table", all=f"{len(is_):,}", l=f"{of.lipschitz:g}", **totals))
    left, right = st.columns(2, gap="medium")
    with left:
        _shape(of, points)
    with right:
        if of.n == 2:
            side = half_width(points)
            ends = computed.basins(of.problem, of.lipschitz, side)
            given = computed.problem(*of.problem)
            draw(plane(given, points, of.lipschitz, say, ends=ends), "theory_basins")
        else:
            _ends(of, float(points.value[0]))
    if of.n < 4:
        draw(spectrum(points, of.lipschitz, say), "theory_spectrum")


def _shape(of: Asked, points) -> None:
    """Draw the feasible set: the plane, three axes or three planes; for 50 weights, every support."""
    given = computed.problem(*of.problem)
    if of.n == 2:
        draw(plane(given, points, of.lipschitz, say), "theory_plane")
    elif of.n == 50:
        draw(spectrum(points, of.lipschitz, say), "theory_spectrum")
    elif of.s == 1:
        draw(along_axes(given, points, of.lipschitz, say), "theory_axes")
    else:
        draw(three_planes(given, points, of.lipschitz, say), "theory_planes")


def _ends(of: Asked, optimum: float | None) -> None:
    """Draw the ends of many random starts, and whether the best of them is the optimum."""
    values, counts, restless = computed.ends_of_starts(of.problem, of.s, of.lipschitz)
    if not values:
        st.warning(say("theory.ends.none"))
        return
    best = min(values) if optimum is None else optimum
    draw(end_counts(values, counts, best, say), "theory_ends")
    there = counts[values.index(min(values))]
    sentences = [say("theory.ends", starts=computed.STARTS, distinct=len(values), best=there)]
    if optimum is not None:
        sentences.append(say("theory.ends.optimal" if min(values) <= optimum + 1e-8 else "theory.ends.not"))
    if restless:
        sentences.append(say("theory.restless", count=restless))
    st.caption(" ".join(sentences))
