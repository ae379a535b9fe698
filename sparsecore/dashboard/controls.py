"""The controls of a run: widgets from the table of parameters, their values in the URL, their errors.

Settings live in `st.session_state` under the parameters' names. The URL holds all of them, so that a link
opens the same settings; a link that names only a run opens that run's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import streamlit as st

from sparsecore.corpora import storage
from sparsecore.corpora.corpus import CorpusError
from sparsecore.dashboard.presses import forget_presses
from sparsecore.dashboard.session import the_store
from sparsecore.engine.config import (
    NOISE,
    PAPER_DENSITIES,
    PARAMETERS,
    SIZES,
    TEXTUAL,
    ConfigError,
    RunConfig,
)
from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.limits import LimitExceeded
from sparsecore.runs.store.run import Run
from sparsecore.words import words

SETTINGS = "settings"  # outlives the widgets when another page is opened
SHOWN = "shown"  # the parameters whose widgets were on the screen when the page was last run to its end
SHOWING = "showing"  # those that this run of the page has come to by now
HELD, HOLDING = "held", "holding"  # the same of other widgets, by their keys
PROBLEMS = "problems"  # what does not fit now
PAGE = "page"  # the page that is shown
SWEEP = "sweep"  # the page whose settings are not the Lab's
OTHER_SETTINGS = "other_settings"  # the Lab's settings while the Sweep page is shown, and the other way round
LINK_PROBLEMS = "link_problems"  # what did not fit in the link, and the value taken instead
# Never in a popover. They are not set to what they hold: that would undo, on the screen and for the next run
# of the page, what was pressed since this run began.
UNCOVERED = ("task", "method", "size", "density")
# Their defaults follow the task and size.
BY_TASK = (
    "learning_rate",
    "noise",
    "theta",
    "max_steps",
    "schedule_steps",
    "certificate",
    "dropout",
    "word_dropout",
)


def say(key: str, **values: Any) -> str:
    """A word of the screen in the session's language."""
    text = words(st.session_state["lang"])[key]
    return text.format(**values) if values else text


def plain(text: Any) -> str:
    """Text of somebody else's for a place that reads Markdown: every mark stands for itself."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", str(text))


def load(run: Run | None) -> None:
    """Fill the session's settings: the defaults, over them the run's, over them the URL's.

    What in the URL does not fit is left out and told beside its field. Streamlit forgets what was entered
    into a widget as soon as it is not shown; it is put back from the settings kept.
    """
    if SETTINGS not in st.session_state:
        settings, problems = _from_url(run)
        taken = {name: (error, settings[name]) for name, error in problems.items()}
        st.session_state[SETTINGS], st.session_state[LINK_PROBLEMS] = settings, taken
    shown = st.session_state.get(SHOWN, frozenset())
    for name, value in st.session_state[SETTINGS].items():
        known = name in shown and name in st.session_state
        if known and name in UNCOVERED:
            continue
        # Set anew each time: a widget in a popover mounts late, and mounts with what the last run set.
        st.session_state[name] = st.session_state[name] if known else value
    st.session_state[SHOWING] = frozenset()


def _from_url(run: Run | None) -> tuple[dict[str, Any], dict[str, ConfigError]]:
    base = run.config.model_dump() if run else {}
    given: dict[str, Any] = {}
    problems: dict[str, ConfigError] = {}
    for name, parameter in PARAMETERS.items():
        if name not in st.query_params:
            continue
        try:
            value = parameter.read(st.query_params[name])
            if run is None or name not in BY_TASK:
                RunConfig.parse({"task": given.get("task", base.get("task", "sinc")), name: value})
            given[name] = value
        except ConfigError as error:
            problems[error.field] = error
    if {"task", "size"} & given.keys():
        base = {name: value for name, value in base.items() if name not in BY_TASK}
    try:
        if given.get("data"):
            storage.load(given["data"], the_store().home / "corpora")
        config = RunConfig.parse(base | given)
    except CorpusError:
        problems["data"] = ConfigError("data", given.pop("data"), "kept on this server")
        config = RunConfig.parse(base | given)
    except ConfigError as error:
        problems[error.field] = error
        config = RunConfig.parse(base)
    return config.model_dump(), problems


def present() -> dict[str, Any]:
    """The settings as the widgets hold them now."""
    return {name: st.session_state.get(name) for name in PARAMETERS}


def hold(key: str, value: Any) -> None:
    """Let a widget hold a value; one that does on the screen is not set anew, for which see `UNCOVERED`."""
    st.session_state[HOLDING] = st.session_state.get(HOLDING, frozenset()) | {key}
    on_screen = key in st.session_state.get(HELD, ()) and key in st.session_state
    if not on_screen or st.session_state[key] != value:
        st.session_state[key] = value


def changed() -> list[str]:
    """The parameters that somebody has set since the page last ran to its end."""
    kept = st.session_state[SETTINGS]
    return [name for name in PARAMETERS if st.session_state[name] != kept[name]]


def note(names: list[str]) -> None:
    """These are no longer `changed`."""
    st.session_state[SETTINGS] |= {name: st.session_state[name] for name in names}


def put(name: str, value: Any) -> None:
    """Set a parameter from a callback, or before its widget is shown."""
    st.session_state[name] = value
    st.session_state[SETTINGS] = st.session_state[SETTINGS] | {name: value}


def turn_to(page: str) -> None:
    """Another page is shown: no widget is on the screen yet; a sweep's settings are its own."""
    before = st.session_state.get(PAGE)
    st.session_state[HOLDING] = frozenset()
    if page == before:
        return
    st.session_state[PAGE] = page
    st.session_state[SHOWN] = st.session_state[HELD] = frozenset()
    forget_presses()
    if SWEEP in (page, before):
        kept = st.session_state.get(OTHER_SETTINGS)
        st.session_state[OTHER_SETTINGS] = st.session_state.pop(SETTINGS, None)
        if kept is not None:
            st.session_state[SETTINGS] = kept


def ran_to_its_end() -> None:
    """The browser has every widget of the page."""
    st.session_state[HELD] = st.session_state[HOLDING]


def _show(name: str) -> dict[str, Any]:
    """What every widget of a parameter is given; notes that it is on the screen."""
    st.session_state[SHOWING] |= {name}
    return {"label": say(f"parameter.{name}"), "help": say(f"parameter.{name}.help"), "key": name}


def keep() -> dict[str, Any]:
    """Keep the settings for when the page is shown again; gives them.

    A run of the page that another interrupts does not come here: what was entered before it is still known.
    """
    st.session_state[SETTINGS] = present()
    st.session_state[SHOWN] = st.session_state[SHOWING]
    return st.session_state[SETTINGS]


def save() -> dict[str, Any]:
    """Keep the settings for other pages and put them into the URL; gives them."""
    settings = keep()
    shown = {name: _text(value) for name, value in settings.items() if value is not None}
    shown["lang"] = st.session_state["lang"]
    for name in (*PARAMETERS, "lang"):
        if name in shown and st.query_params.get(name) != shown[name]:
            st.query_params[name] = shown[name]
        elif name not in shown and name in st.query_params:
            del st.query_params[name]
    return settings


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def checked(settings: dict[str, Any]) -> RunConfig | None:
    """The config of the settings; None when one does not fit, which `problem` tells beside its field."""
    problems = st.session_state[PROBLEMS] = {}
    try:
        return RunConfig.parse(settings)
    except ConfigError as error:
        problems[error.field] = error
        return None


def problem(name: str) -> None:
    """What is wrong with a parameter's value, in the reader's language, under its field."""
    error = st.session_state.get(PROBLEMS, {}).get(name)
    in_link, taken = st.session_state.get(LINK_PROBLEMS, {}).get(name, (None, None))
    if error is None and st.session_state[name] == taken:
        error = in_link
    if error is not None:
        st.error(told(error))


def refusal() -> str:
    """Why these settings cannot be trained, in one sentence."""
    return told(next(iter(st.session_state[PROBLEMS].values())))


def told(error: ConfigError) -> str:
    """What is wrong with a value, in the reader's language."""
    if isinstance(error, LimitExceeded):
        return say(error.key, **error.values)
    if error.field not in PARAMETERS:  # a limit that was set wrongly for the server
        return plain(error)
    label = say(f"parameter.{error.field}")
    return say("problem", label=label, value=plain(error.value), allowed=_allowed(error))


def told_store(error: StoreError) -> str:
    """What is wrong with the store, and what to do, in the reader's language."""
    if error.kind:
        return say(f"live.store.{error.kind}", place=plain(error.details["place"]))
    return "\n\n".join((say("store.unreachable"), plain(error)))


def _allowed(error: ConfigError) -> str:
    name, parameter = error.field, PARAMETERS[error.field]
    if name in TEXTUAL:
        return say(f"allowed.{name}")
    if name == "noise" and st.session_state.get("data"):
        return say("allowed.no_noise")
    if parameter.choices:
        return say("allowed.one_of", choices=", ".join(parameter.choices))
    bound = "allowed.above" if parameter.exclusive_minimum else "allowed.from"
    low = say(bound, low=f"{parameter.minimum:,}")
    high = NOISE[st.session_state["task"]].maximum if name == "noise" else parameter.maximum
    return low if high is None else low + say("allowed.to", high=f"{high:,}")


def follow_task() -> None:
    """After another task or size: the parameters whose default depends on it take that default."""
    task, size = st.session_state["task"], st.session_state["size"]
    if size not in SIZES[task]:
        size = SIZES[task][0]
        put("size", size)
    fresh = RunConfig(task=task, size=size)
    for name in BY_TASK:
        put(name, getattr(fresh, name))
    if task != "vulnerabilities":
        put("data", None)


def choice(name: str, on_change: Callable[[], None] | None = None) -> None:
    """One of the table's choices, as a row of segments."""
    sizes = SIZES[st.session_state["task"]]
    st.segmented_control(
        **_show(name),
        options=sizes if name == "size" else PARAMETERS[name].choices,
        format_func=lambda value: say(f"{name}.{value}"),
        required=True,
        on_change=on_change,
    )
    problem(name)


def choices(name: str) -> dict[str, str]:
    """The table's choices of a parameter, with their names for people."""
    return {choice: say(f"{name}.{choice}") for choice in PARAMETERS[name].choices}


def selection(name: str, options: dict[str, str], **more: Any) -> None:
    """One of many, each with a name for people; with a `placeholder` it may also be none."""
    if "placeholder" in more:
        more["index"] = None
    st.selectbox(**_show(name), options=options, format_func=lambda value: options.get(value, value), **more)
    problem(name)


def density_slider() -> None:
    """Show ρ over the paper's values and the present one; the label adds the sparsity, 1 − ρ."""
    density = st.session_state["density"]
    sparsity = say("live.sparsity", share=f"{100 * (1 - density):.3g}")
    words = _show("density") | {"label": f"{say('parameter.density')} · {sparsity}"}
    st.select_slider(**words, options=sorted({*PAPER_DENSITIES, density}), format_func="{:g}".format)
    problem("density")


def number(name: str, **options: Any) -> None:
    """A number of the table; what does not fit is told under the field, not cut off silently."""
    st.number_input(**_show(name), value=None, **options)
    problem(name)
