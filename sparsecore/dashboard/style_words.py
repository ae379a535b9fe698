"""Words of the page in places of Streamlit's that know English only.

Streamlit's words are hidden there, and those of the page are the `content` of a style instead, which a screen
reader reads as text (the rules are in `assets/page.css`).
"""

from __future__ import annotations

import streamlit as st

CLOSING = '"\\<'  # what would end a text of a style, or the style


def style_words(selector: str, words: dict[str, str]) -> None:
    """Give the words by the names of their variables, without the two dashes, to what a selector finds."""
    told = "".join(f"--{name}: {quoted(text)}; " for name, text in words.items())
    st.html(f"<style>{selector} {{ {told}}}</style>")


def quoted(text: str) -> str:
    r"""A text as CSS writes it.

    >>> quoted('a "file" </style>')
    '"a \\22 file\\22  \\3c /style>"'
    """
    return '"' + "".join(f"\\{ord(mark):x} " if mark in CLOSING else mark for mark in text) + '"'
