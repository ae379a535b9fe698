"""The settings of a run: their values in the session and in the URL, and their errors.

Settings live in `st.session_state` under the parameters' names. The URL holds all of them, so that a link
opens the same settings; a link that names only a run opens that run's.
"""

import re
from typing import Any

import streamlit as st

from sparsecore.corpora import storage
from sparsecore.corpora.corpus import CorpusError
from sparsecore.dashboard.session import forget_presses, put_in_address, the_store
from sparsecore.engine.cards import methods, tasks
from sparsecore.engine.config import (
    FOLLOWING,
    PARAMETERS,
    ConfigError,
    RunConfig,
    every_parameter,
    parameters_of,
)
from sparsecore.engine.parameters import TEXTUAL, Parameter
from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.limits import LimitExceeded
from sparsecore.runs.store.run import Run
from sparsecore.words import LANGUAGES, speaker

SETTINGS = "settings"  # outlives the widgets when another page is opened
SHOWN = "shown"  # the parameters with a widget on the screen after the last complete page run
SHOWING = "showing"  # those that this run of the page has come to by now
HELD, HOLDING = "held", "holding"  # the same of other widgets, by their keys
PROBLEMS = "problems"  # what does not fit now
PAGE = "page"  # the page that is shown
SWEEP = "sweep"  # the page with its own settings
OTHER_SETTINGS = "other_settings"  # the Lab's settings while the Sweep page is shown, and the other way round
LINK_PROBLEMS = "link_problems"  # what did not fit in the link, and the value taken instead
# Never in a popover. They are not set to what they hold: that would undo, on the screen and for the next run
# of the page, what was pressed since this run began.
UNCOVERED = ("task", "method", "size", "density")


def say(key: str, **values: Any) -> str:
    """A word of the screen in the session's language."""
    return speaker(st.session_state["lang"])(key, **values)


def worded(key: str, **values: Any) -> dict[str, str]:
    """Return the label and the help of a widget: the words `key` and `key.help`."""
    return {"label": say(key, **values), "help": say(f"{key}.help", **values)}


def languages() -> tuple[str, ...]:
    """The languages of a report, the session's first; captured when a download is offered."""
    return tuple(sorted(LANGUAGES, key=lambda name: name != st.session_state["lang"]))


def plain(text: Any) -> str:
    """Escape untrusted text for Markdown."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", str(text))


def load(run: Run | None) -> None:
    """Fill the session's settings: the defaults, over them the run's, over them the URL's.

    Invalid values of the URL are dropped and reported next to their field. Streamlit forgets the value of a
    widget that is not shown; it is restored from the kept settings.
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
    for name, parameter in every_parameter().items():
        if name not in st.query_params:
            continue
        try:
            value = parameter.read(st.query_params[name])
            if run is None or name not in FOLLOWING:
                known = {each: (base | given).get(each) for each in ("task", "method")}
                RunConfig.parse(known | {name: value})
            given[name] = value
        except ConfigError as error:
            problems[error.field] = error
    if {"task", "size"} & given.keys():
        base = {name: value for name, value in base.items() if name not in FOLLOWING}
    try:
        if given.get("data"):
            storage.load(given["data"], the_store().home / "corpora")
        config = RunConfig.parse(base | given)
    except CorpusError:
        problems["data"] = ConfigError("data", given.pop("data"), "a data set kept on this server")
        config = RunConfig.parse(base | given)
    except ConfigError as error:
        problems[error.field] = error
        config = RunConfig.parse(base)
    return config.model_dump(), problems


def present() -> dict[str, Any]:
    """The settings as the widgets hold them now."""
    return {name: st.session_state.get(name) for name in every_parameter()}


def hold(key: str, value: Any) -> None:
    """Set the value of a widget, unless it is on the screen with that value; see `UNCOVERED`."""
    st.session_state[HOLDING] = st.session_state.get(HOLDING, frozenset()) | {key}
    on_screen = key in st.session_state.get(HELD, ()) and key in st.session_state
    if not on_screen or st.session_state[key] != value:
        st.session_state[key] = value


def changed() -> list[str]:
    """Return the parameters that the user has set since the last complete run of the page."""
    kept = st.session_state[SETTINGS]
    return [name for name in every_parameter() if st.session_state.get(name) != kept.get(name)]


def note(names: list[str]) -> None:
    """Remove parameters from `changed`."""
    st.session_state[SETTINGS] |= {name: st.session_state[name] for name in names}


def put(name: str, value: Any) -> None:
    """Set a parameter from a callback, or before its widget is shown."""
    st.session_state[name] = value
    st.session_state[SETTINGS] = st.session_state[SETTINGS] | {name: value}


def turn_to(page: str) -> None:
    """Reset widget state for another page; a sweep has its own settings."""
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
    """Note that the browser has every widget of the page."""
    st.session_state[HELD] = st.session_state[HOLDING]


def rows() -> dict[str, Parameter]:
    """The parameters of the task and the method that are chosen, by name."""
    return parameters_of(st.session_state["task"], st.session_state["method"])


def keep() -> dict[str, Any]:
    """Keep the settings for the next time the page is shown, and return them.

    An interrupted page run does not reach this point, so values entered before it stay known.
    """
    st.session_state[SETTINGS] = present()
    st.session_state[SHOWN] = st.session_state[SHOWING]
    return st.session_state[SETTINGS]


def save() -> dict[str, Any]:
    """Keep the settings for other pages, put them into the URL, and return them."""
    settings = keep()
    mine = rows()
    shown = query_of({name: value for name, value in settings.items() if name in mine})
    put_in_address(dict.fromkeys(every_parameter()) | shown | {"lang": st.session_state["lang"]})
    return settings


def query_of(settings: dict[str, Any]) -> dict[str, str]:
    """Return settings as a URL states them."""
    given = {name: value for name, value in settings.items() if value is not None}
    return {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in given.items()}


def checked(settings: dict[str, Any]) -> RunConfig | None:
    """Return the config of the settings; None if a value is invalid, which `problem` shows at its field."""
    problems = st.session_state[PROBLEMS] = {}
    try:
        return RunConfig.parse(settings)
    except ConfigError as error:
        problems[error.field] = error
        return None


def problems() -> dict[str, ConfigError]:
    """Return the errors by parameter: of widgets, and of the link until its replacement value is changed."""
    linked = st.session_state.get(LINK_PROBLEMS, {})
    in_link = {name: error for name, (error, taken) in linked.items() if st.session_state.get(name) == taken}
    return in_link | st.session_state.get(PROBLEMS, {})


def problem(name: str) -> None:
    """Show the error of a parameter's value under its field."""
    if name in problems():
        st.error(sentence(problems()[name]))


def covered_problems() -> None:
    """Show the errors of fields in closed menus, and a button to accept what is used instead of a link's."""
    covered = [error for name, error in problems().items() if name not in UNCOVERED]
    if covered:
        st.error("\n\n".join(map(sentence, covered)))
    if problems() and not st.session_state[PROBLEMS]:
        forget = st.session_state[LINK_PROBLEMS].clear
        st.button(say("problem.accept"), help=say("problem.accept.help"), on_click=forget, key="accept_link")


def refusal() -> str:
    """Return in one sentence why these settings cannot be trained."""
    return sentence(next(iter(st.session_state[PROBLEMS].values())))


def sentence(error: ConfigError) -> str:
    """Return the error of a value as a sentence in the user's language."""
    if isinstance(error, LimitExceeded):
        return say(error.key, **error.values)
    row = (every_parameter() | rows()).get(error.field)
    if row is None:  # a limit that was set wrongly for the server
        return plain(error)
    allowed = say(error.words) if error.words else _allowed(row)
    return say("problem", label=say(row.label_key), value=plain(error.value), allowed=allowed)


def store_sentence(error: StoreError) -> str:
    """Return the error of the store and its remedy, in the user's language."""
    if error.kind:
        return say(f"live.store.{error.kind}", place=plain(error.details["place"]))
    return "\n\n".join((say("store.unreachable"), plain(error)))


def _allowed(row: Parameter) -> str:
    if row.name in TEXTUAL:
        return say(f"allowed.{row.name}")
    choices = tasks()[st.session_state["task"]].sizes if row.name == "size" else row.choices
    if choices:  # as a link names them, and as the screen does
        names = {choice: say(row.choice_key(choice)) for choice in choices}
        listed = (choice if name == choice else f"{choice} ({name})" for choice, name in names.items())
        return say("allowed.one_of", choices=", ".join(listed))
    if row.text:
        return say(f"{row.label_key}.allowed")
    if row.minimum is None:
        return say("allowed.number")
    low = say("allowed.above" if row.exclusive_minimum else "allowed.from", low=f"{row.minimum:,}")
    return low if row.maximum is None else low + say("allowed.to", high=f"{row.maximum:,}")


def follow_task() -> None:
    """After a change of task or size, reset the parameters whose default depends on it."""
    task, size = st.session_state["task"], st.session_state["size"]
    card = tasks()[task]
    if size not in card.sizes:
        size = next(iter(card.sizes))
        put("size", size)
    fresh = RunConfig(task=task, size=size)
    for name in (*FOLLOWING, *(card.own.keys() - PARAMETERS.keys())):
        put(name, getattr(fresh, name))
    if not card.reads_texts:
        put("data", None)


def follow_method() -> None:
    """After a change of method, set its own parameters to their defaults."""
    for name, each in methods()[st.session_state["method"]].own.items():
        put(name, each.default)
