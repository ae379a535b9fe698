"""Find the smallest ρ within a tolerance of dense by bisection, training every density tried."""

from functools import partial

import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.jobs import Job, JobError, Pool
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import stop_button, visitor
from sparsecore.engine.cards import taking
from sparsecore.engine.config import PARAMETERS
from sparsecore.figures.style import format_number
from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.bisection import ORIGIN, Bisection, NoBaseline, SmallestDensity
from sparsecore.runs.sweeps.executors import Cancelled, Executor
from sparsecore.runs.sweeps.spec import Cell, SweepSpec, count_ended

TOLERANCE, METHOD = "smallest_tolerance", "smallest_method"
USUAL_TOLERANCE = 5.0  # percent of the dense metric
LIVE_SECONDS = 1.0
BISECTIONS = Pool("bisection")


def find_smallest(store: Store, spec: SweepSpec, tolerance: float, by: Person = HOST) -> Job:
    """The bisection of this question, with a `SmallestDensity` as its result; the supervisor trains.

    A server that ends loses nothing but the thread: the same question again finds the runs that exist.
    """
    return BISECTIONS.share(key(store, spec, tolerance), partial(_bisect, store, spec, tolerance, by), by)


def key(store: Store, spec: SweepSpec, tolerance: float) -> tuple[str, str, float]:
    """What two users must agree on to share a bisection."""
    return str(store.home), spec.model_dump_json(), tolerance


def _bisect(store: Store, spec: SweepSpec, tolerance: float, by: Person, job: Job) -> SmallestDensity:
    def tell(density: float, cells: list[Cell]) -> None:
        job.report(count_ended(cells), len(cells), density=density)
        job.stop_if_cancelled()

    try:
        return Bisection(store, Executor(store), spec, tolerance, by).find(on_progress=tell)
    except NoBaseline as error:
        raise JobError(str(error)) from error
    except Cancelled:
        looked_at = spec.model_copy(update={"densities": (job.facts["density"],)})
        stored.stop(store, stored.begin(store, looked_at, ORIGIN, by=by), by=by)
        raise


def smallest(spec: SweepSpec | None) -> None:
    """Let the user start the search for the smallest ρ nearly as good as dense, and show its progress."""
    st.markdown(f"**{say('smallest.title')}**", help=say("smallest.help"))
    with st.container(horizontal=True, vertical_alignment="bottom", key="smallest"):
        st.number_input(
            say("smallest.tolerance"),
            0.0,
            1000.0,
            USUAL_TOLERANCE,
            1.0,
            format="%g",
            key=TOLERANCE,
            width=260,
        )
        methods = taking("density")
        options = {"required": True, "default": PARAMETERS["method"].default, "key": METHOD}
        st.segmented_control(
            say("sweep.methods"), methods, format_func=lambda name: say(f"method.{name}"), **options
        )
        question = _question(spec)
        going = question and BISECTIONS.find(key(*question))
        words = {"label": say("smallest.find"), "help": say("smallest.find.help")}
        pressed = st.button(**words, icon=":material/search:", disabled=question is None, key="smallest_find")
    if pressed and question:
        going = find_smallest(*question, visitor())
    if question:
        st.fragment(_state, run_every=LIVE_SECONDS if going and not going.is_over else None)(*question)


def _question(spec: SweepSpec | None) -> tuple | None:
    """The store, the spec with one method, and the tolerance as a share; None while one does not fit."""
    tolerance = st.session_state[TOLERANCE]
    if spec is None or tolerance is None:
        return None
    one = spec.model_copy(update={"methods": (st.session_state[METHOD],), "densities": (1.0,)})
    return the_store(), one, tolerance / 100


def _state(store: Store, spec: SweepSpec, tolerance: float) -> None:
    job = BISECTIONS.find(key(store, spec, tolerance))
    if job is None:
        return
    if not job.is_over:
        with st.container(horizontal=True, vertical_alignment="center"):
            density = job.facts.get("density", 1.0)
            total = job.total or len(spec.seeds)
            st.markdown(say("smallest.looking", density=f"{density:g}", done=job.done, total=total))
            stop_button(job, "smallest_stop")
    elif job.state == "done":
        _answered(job.result())
    elif job.problem:
        st.error(say("smallest.problem", reason=job.problem))


def _answered(found: SmallestDensity) -> None:
    values = {"dense": format_number(found.dense), "bound": format_number(found.bound)}
    metric = say(f"live.metric.{found.metric}")
    st.success(say("smallest.found", density=f"{found.density:g}", metric=metric, **values))
    st.dataframe(
        [
            {"density": row.density, "test": row.test, "within": row.within}
            for row in sorted(found.evaluated, key=lambda row: -row.density)
        ],
        hide_index=True,
        height="content",
        width=420,
        column_config={
            "density": st.column_config.NumberColumn("ρ", format="%g"),
            "test": st.column_config.NumberColumn(say("sweep.table.test"), format="%.4f"),
            "within": say("smallest.within"),
        },
    )
