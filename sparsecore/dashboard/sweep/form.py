"""The form of the Sweep page: its choices, and the sweep spec they make."""

import re
from collections.abc import Sequence
from typing import Any

import streamlit as st

from sparsecore.dashboard import controls
from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.parameters import choice, columns
from sparsecore.dashboard.session import the_store
from sparsecore.engine.cards import methods, tasks
from sparsecore.engine.config import PAPER_METHODS, PARAMETERS, ConfigError, RunConfig, every_parameter
from sparsecore.engine.parameters import of_card
from sparsecore.figures.html.sweep_grid import number_ranges
from sparsecore.paper.thesis import printed
from sparsecore.runs.store.limits import require_all_fit
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import FINISHED, GRID, Cell, SweepSpec
from sparsecore.settings import usable_cores

METHODS, DENSITIES, SEEDS = "sweep_methods", "sweep_densities", "sweep_seeds"
CHOSEN = "sweep_chosen"  # in the session: the choices of the grid, which outlive their widgets
FILLED = "sweep_filled"  # in the session: the sweep that last filled the choices
USUAL_SEEDS = "0, 1, 2"
LARGEST = 10_000  # runs of a sweep that a page still shows at once
WORKERS = usable_cores()
EXAMPLE = SweepSpec(
    task="sinc",
    densities=(1.0, 0.4, 0.2, 0.1),
    seeds=(0, 1, 2),
    parameters={"size": "demo", "max_steps": 2_000},
)


class Misread(ValueError):
    """A text that is not a list of densities or seeds; key: of the message."""

    def __init__(self, key: str, value: str) -> None:
        self.key, self.value = key, value
        super().__init__(f"{key}: {value!r}")


def read_densities(text: str) -> tuple[float, ...]:
    """Parse densities: distinct, largest first.

    >>> read_densities("0.05, 1，.4 0.4")
    (1.0, 0.4, 0.05)
    """
    found = set()
    for word in _words(text):
        try:
            density = float(word)
        except ValueError:
            raise Misread("sweep.problem.densities", word) from None
        if not 0 < density <= 1:
            raise Misread("sweep.problem.densities", word)
        found.add(density)
    return tuple(sorted(found, reverse=True))


def read_seeds(text: str) -> tuple[int, ...]:
    """Parse seeds: distinct, ascending; a range includes both ends.

    >>> read_seeds("7, 0-2")
    (0, 1, 2, 7)
    """
    largest = int(PARAMETERS["seed"].maximum)
    found: set[int] = set()
    for word in _words(text):
        ends = re.fullmatch(r"(\d{1,10})(?:[-–](\d{1,10}))?", word)
        low, high = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if not low <= high <= largest:
            raise Misread("sweep.problem.seeds", word)
        if high - low >= LARGEST:
            raise Misread("sweep.problem.seeds.many", word)
        found.update(range(low, high + 1))
    return tuple(sorted(found))


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,;，、；]+", text) if word]


def usual_densities(task: str) -> str:
    """Return the densities of the thesis for this task."""
    densities = sorted({result.density for result in printed(task)}, reverse=True)
    return ", ".join(f"{density:g}" for density in densities)


def fill(sweep: stored.Sweep | None) -> None:
    """Fill the widgets with a sweep's choices when it is first shown; else restore the user's."""
    controls.load(None)
    chosen = st.session_state.setdefault(CHOSEN, {})
    if sweep is not None and st.session_state.get(FILLED) != sweep.id:
        st.session_state[FILLED], spec = sweep.id, sweep.spec
        config = spec.configs()[0]
        for name, value in config.model_dump().items():
            if name not in GRID[1:]:
                controls.put(name, value)
        densities = ", ".join(f"{density:g}" for density in spec.densities)
        values = (list(spec.methods), densities, number_ranges(spec.seeds))
        chosen.clear()
    else:
        values = (list(PAPER_METHODS), usual_densities(st.session_state["task"]), USUAL_SEEDS)
    for key, value in zip((METHODS, DENSITIES, SEEDS), values, strict=True):
        controls.hold(key, chosen.setdefault(key, value))


def _note(key: str) -> None:
    st.session_state[CHOSEN][key] = st.session_state[key]


def _follow_task() -> None:
    controls.follow_task()
    st.session_state[CHOSEN][DENSITIES] = usual_densities(st.session_state["task"])


def choices() -> None:
    """Task, methods, size; densities and seeds; everything else behind More."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="choices"):
        choice("task", on_change=_follow_task)
        st.pills(
            say("sweep.methods"),
            [name for name, card in methods().items() if card.constrained],
            selection_mode="multi",
            format_func=lambda name: say(f"method.{name}"),
            help=say("sweep.methods.help"),
            key=METHODS,
            on_change=_note,
            args=(METHODS,),
        )
        choice("size", on_change=controls.follow_task)
        with st.popover(say("more"), icon=":material/tune:"):
            columns(st.session_state[METHODS] or PAPER_METHODS, without=GRID)
    left, right = st.columns([3, 1])
    for column, key, word in ((left, DENSITIES, "densities"), (right, SEEDS, "seeds")):
        with column:
            options = {"help": say(f"sweep.{word}.help"), "key": key, "on_change": _note, "args": (key,)}
            st.text_input(say(f"sweep.{word}"), **options)


def chosen_spec() -> tuple[SweepSpec | None, str]:
    """Return the spec of the choices; or None and the error in one sentence."""
    config = controls.checked(controls.keep())
    if config is None:
        return None, controls.refusal()
    try:
        grid = {
            "methods": tuple(st.session_state[METHODS]),
            "densities": read_densities(st.session_state[DENSITIES]),
            "seeds": read_seeds(st.session_state[SEEDS]),
        }
        if not all(grid.values()):
            return None, say("sweep.problem.empty")
        spec = SweepSpec(task=config.task, parameters=_changed(config), **grid)
        if spec.size > LARGEST:
            return None, say("sweep.problem.large", runs=f"{spec.size:,}", most=f"{LARGEST:,}")
        one_seed = spec.model_copy(update={"seeds": spec.seeds[:1]})  # no other fits less
        require_all_fit(one_seed.configs(), the_store().home)
    except Misread as error:
        return None, say(error.key, value=plain(error.value))
    except ConfigError as error:
        return None, controls.sentence(error)
    return spec, ""


def _changed(config: RunConfig) -> dict[str, Any]:
    """The size, and every parameter that differs from its default, of the task and the methods too."""
    fresh = RunConfig(task=config.task, size=config.size)
    usual = RunConfig(task=config.task, size=config.size, max_steps=config.max_steps).model_dump()
    usual |= {"size": None, "max_steps": fresh.max_steps}
    if config.schedule == "constant":
        usual["schedule_steps"] = config.schedule_steps  # nothing changes in them
    names = [name for name in PARAMETERS if name not in GRID]
    changed = {name: value for name in names if (value := getattr(config, name)) != usual[name]}
    for card in (tasks()[config.task], *(methods()[name] for name in st.session_state.get(METHODS, ()))):
        for name in card.own.keys() - PARAMETERS.keys():
            value = st.session_state.get(name)
            if value is not None and value != of_card(card, name).default:
                changed[name] = value
    return changed


def plan(spec: SweepSpec, known: Sequence[Cell] | None = None) -> tuple[str, int]:
    """The number of runs, the number of new ones and the estimated time in words; the number of new ones.

    known: its cells, if just read.
    """
    cells = known or stored.cells_of(the_store(), spec)
    new = sum(cell.status not in FINISHED for cell in cells)
    if not new:
        return say("sweep.plan.nothing", runs=f"{len(cells):,}"), new
    time = duration(stored.estimate(the_store(), spec, WORKERS, cells))
    return say("sweep.plan", runs=f"{len(cells):,}", new=f"{new:,}", time=time, workers=WORKERS), new


def duration(seconds: float) -> str:
    """Format a duration in the unit that gives one or two digits."""
    if seconds < 100:
        return say("sweep.time.seconds", n=f"{max(1.0, seconds):.0f}")
    if seconds < 100 * 60:
        return say("sweep.time.minutes", n=f"{seconds / 60:.0f}")
    return say("sweep.time.hours", n=f"{seconds / 3600:,.1f}")


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else plain(value)


def differences(spec: SweepSpec) -> str:
    """Name the shared parameters with non-default values; empty if all are default."""
    others = {name: value for name, value in spec.parameters.items() if name != "size"}
    changes = ", ".join(
        f"{say(every_parameter()[name].label_key)} {_shown(value)}" for name, value in others.items()
    )
    return say("sweep.differs", changes=changes) if changes else ""
