"""Small widgets and wordings: the header of a page, an uploader, dates, labels of runs, styled words."""

import time
from collections.abc import Callable

import streamlit as st

from sparsecore.dashboard import classroom
from sparsecore.dashboard.controls import hold, say
from sparsecore.dashboard.visitor import account_menu
from sparsecore.engine.cards import methods
from sparsecore.runs.store.run import Run
from sparsecore.words import LANGUAGES


def page_header(title: str) -> None:
    """Show the title of a page and its corner."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(title, anchor=False)
        language_switch()


def language_switch() -> None:
    """Draw the corner of a page: the user, if that matters, and the language switch."""

    def keep() -> None:
        st.session_state["lang"] = st.session_state["language_choice"]
        st.query_params["lang"] = st.session_state["lang"]

    hold("language_choice", st.session_state["lang"])
    with st.container(horizontal=True, vertical_alignment="bottom", width="content", key="corner"):
        if not classroom.is_student():
            account_menu()
        st.segmented_control(
            say("language"),
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            key="language_choice",
            required=True,
            on_change=keep,
            label_visibility="collapsed",
        )


def file_uploader(
    label: str, key: str, on_change: Callable[[str], None], *, kind: str = "", help: str
) -> None:
    """Show an uploader for one file; the session has it under `key`, which `on_change` receives.

    kind: the required suffix, such as "zip"; any if left out.
    """
    size = st.get_option("server.maxUploadSize")
    limit = say("upload.kind", kind=kind.upper(), size=size) if kind else say("upload.limit", size=size)
    words = {
        "upload-choose": say("upload.choose"),
        "upload-drop": say("upload.drop"),
        "upload-limit": limit,
        "upload-refused": say("upload.refused", limit=limit),
    }
    style_words(f".st-key-{key}", words)
    st.file_uploader(label, kind or None, help=help, key=key, on_change=on_change, args=(key,))


# -- When something was, as the reader's language writes it; by the clock of the server


def day(seconds: float) -> str:
    """Format the day of a time since the epoch."""
    at = time.localtime(seconds)
    return say("date.day", year=at.tm_year, month=say(f"date.month.{at.tm_mon}"), day=at.tm_mday)


def minute(seconds: float) -> str:
    """Format the day and the minute."""
    return f"{day(seconds)} {time.strftime('%H:%M', time.localtime(seconds))}"


def label(run: Run) -> str:
    """Describe a run: method, ρ, size, seed, id."""
    size, seed = say(f"size.{run.config.size}"), say("live.seed", seed=run.config.seed)
    return f"{short(run)} · {size} · {seed} · {run.id}"


def short(run: Run) -> str:
    """Describe a run for a legend: method and ρ."""
    method = say(f"method.{run.config.method}")
    takes = methods()[run.config.method].takes
    return method if "density" not in takes else f"{method} ρ {run.config.density:g}"


# -- Words of the page in places of Streamlit's that know English only


CLOSING = '"\\<'  # what would end a text of a style, or the style


def style_words(selector: str, words: dict[str, str]) -> None:
    """Define CSS variables with the words for the elements of a selector."""
    rules = "".join(f"--{name}: {quoted(text)}; " for name, text in words.items())
    st.html(f"<style>{selector} {{ {rules}}}</style>")


def quoted(text: str) -> str:
    r"""Quote a text for CSS.

    >>> quoted('a "file" </style>')
    '"a \\22 file\\22  \\3c /style>"'
    """
    return '"' + "".join(f"\\{ord(mark):x} " if mark in CLOSING else mark for mark in text) + '"'
