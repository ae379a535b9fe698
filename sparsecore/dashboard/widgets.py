"""Small widgets: an uploader in the page's language, dates, and styled words."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from sparsecore.dashboard.controls import say


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
