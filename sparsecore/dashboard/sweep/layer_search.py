"""Per-layer densities searched with Optuna from the Sweep page, and their Pareto front."""

from dataclasses import asdict
from html import escape
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.jobs import Job, Pool
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.sweep import results
from sparsecore.dashboard.visitor import stop_button, visitor
from sparsecore.engine.cards import taking
from sparsecore.engine.parameters import densities_of_layers
from sparsecore.figures.sweep import pareto
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.results import Point, points
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.settings import usable_cores

TRIALS, USUAL_TRIALS, MOST_TRIALS = "search_trials", 30, 500
SHOWN = "search_shown"  # in the session: how many trials were over when the front was drawn
LOOKED_THROUGH, DRAWN = 400, 100  # of the newest sweeps, and of these the choices of a search that are drawn
LIVE_SECONDS = 1.0
SEARCH = "search"  # the origin of the sweeps that a search begins
TOGETHER = usable_cores()  # choices of densities that are tried at once
SEARCHES = Pool(SEARCH)


def start_search(store: Store, spec: SweepSpec, trials: int, by: Person) -> Job:
    """The search of this question, in a child process that imports torch and Optuna; the supervisor trains.

    A server that ends loses nothing but the process: the same question again finds the runs that exist.
    """
    question = {"spec": _question(spec).model_dump(mode="json"), "by": asdict(by), "trials": trials}
    module = "sparsecore.runs.sweeps.layer_search"

    def work(job: Job) -> None:
        job.run_child(module, store, question | {"together": TOGETHER})

    return SEARCHES.share(key(store, spec, trials), work, by)


def key(store: Store, spec: SweepSpec, trials: int) -> tuple[str, str, int]:
    """What two users must agree on to share a search."""
    return str(store.home), _question(spec).model_dump_json(), trials


def _question(spec: SweepSpec) -> SweepSpec:
    """Return a spec without the parts a search ignores: methods and densities."""
    return spec.model_copy(update={"methods": tuple(taking("layer_densities")[:1]), "densities": (1.0,)})


def search(spec: SweepSpec | None, drawn_for: SweepSpec | None, view: dict[str, Any]) -> None:
    """Let the user start a search with the choices above, and show its progress.

    Its front is drawn here unless `drawn_for`, the sweep shown above, already shows it.
    """
    st.markdown(f"**{say('search.title')}**", help=say("search.help"))
    with st.container(horizontal=True, vertical_alignment="bottom", key="search"):
        limits = {"min_value": 1, "max_value": MOST_TRIALS, "value": USUAL_TRIALS, "step": 10}
        trials = st.number_input(say("search.trials"), key=TRIALS, width=260, **limits)
        question = None if spec is None or trials is None else (the_store(), spec, trials)
        words = {"label": say("search.start"), "help": say("search.start.help")}
        pressed = st.button(**words, icon=":material/search:", disabled=question is None, key="search_start")
    if question is None:
        return
    going = start_search(*question, visitor()) if pressed else SEARCHES.find(key(*question))
    if going is None:
        st.caption(say("search.command"))
        # Streamlit's own code block brings a highlighter of half a megabyte with it.
        st.html(f'<pre class="sp-command">{escape(command(spec, trials))}</pre>')
        return
    st.session_state[SHOWN] = going.done
    st.fragment(_state, run_every=None if going.is_over else LIVE_SECONDS)(*question)
    if drawn_for is None or not _is_alike(spec, drawn_for):
        own = points(stored.cells_of(the_store(), spec))
        if (figure := front_figure(spec, own, view["axis"] == "log")) is not None:
            results.draw(figure, "pareto_asked", f"search-{spec.task}")


def _state(store: Store, spec: SweepSpec, trials: int) -> None:
    going = SEARCHES.find(key(store, spec, trials))
    if st.session_state.get(SHOWN) != going.done:
        st.rerun()  # a trial is over: only now is the front drawn again
    if not going.is_over:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(going.share, text=_progress(going))
            stop_button(going, "search_stop")
    elif going.problem:
        st.error(say("search.problem", reason=going.problem))
    elif going.state == "cancelled":
        st.info(say("search.stopped", done=going.done, total=trials))
    else:
        st.success(_counts("search.done", going))


def _progress(going: Job) -> str:
    if going.is_cancelled:
        return say("search.stopping")
    return _counts("search.going", going) if going.total else say("search.starting")


def _counts(word: str, going: Job) -> str:
    counts = say(word, done=going.done, total=going.total, **going.facts)
    failed = going.facts["failed"]
    return f"{counts} {say('search.failed', n=failed)}" if failed else counts


def _is_alike(one: SweepSpec, other: SweepSpec) -> bool:
    ours, theirs = (spec.parameters | {"layer_densities": None} for spec in (one, other))
    return one.task == other.task and ours == theirs


def _is_uniform(spec: SweepSpec) -> bool:
    """Whether all layers have the same density."""
    given = spec.parameters.get("layer_densities")
    return given is None or len(set(densities_of_layers(given).values())) == 1


def front_figure(spec: SweepSpec, found: list[Point], logarithmic: bool) -> go.Figure | None:
    """Draw the Pareto front of searches like this sweep against one density for all layers.

    The latter are the sweep's own runs, `found`, else those that the search tries first. None without a
    search.
    """
    tried = searched(spec)
    every = [point for own, _ in tried for point in own]
    if not every:
        return None
    uniform = found or [point for own, is_uniform in tried if is_uniform for point in own]
    return pareto(every, uniform, metric=every[0].metric, say=say, logarithmic=logarithmic)


def searched(spec: SweepSpec) -> list[tuple[list[Point], bool]]:
    """The finished runs of each trial of searches like this sweep; whether its layers have one density."""
    newest = stored.recent(the_store(), LOOKED_THROUGH, SEARCH)
    trials = [each.spec for each in newest if _is_alike(each.spec, spec)][:DRAWN]
    return [(points(stored.cells_of(the_store(), trial)), _is_uniform(trial)) for trial in trials]


def command(spec: SweepSpec, trials: int = USUAL_TRIALS) -> str:
    """Return the command that starts a search like this sweep."""
    flags = {"seeds": ",".join(str(seed) for seed in spec.seeds)} | spec.parameters
    options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in flags.items())
    return f"python -m sparsecore search {spec.task} {options} --trials {trials}"
