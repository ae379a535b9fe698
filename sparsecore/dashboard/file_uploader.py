"""A place for a file in the words of the page: Streamlit's uploader has its own, in English only.

They are hidden, and those of the page stand in their place as the `content` of a style, which a screen reader
reads as the name of the button (the rules are in `assets/page.css`).
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from sparsecore.dashboard.controls import say

CLOSING = '"\\<'  # what would end a text of a style, or the style


def file_uploader(
    label: str, key: str, on_change: Callable[[str], None], *, kind: str = "", help: str
) -> None:
    """Ask for one file; the page's state has it under `key`, which `on_change` is told.

    kind: the ending that a file must have, such as "zip"; any if left out.
    """
    size = st.get_option("server.maxUploadSize")
    limit = say("upload.kind", kind=kind.upper(), size=size) if kind else say("upload.limit", size=size)
    words = {
        "choose": say("upload.choose"),
        "drop": say("upload.drop"),
        "limit": limit,
        "refused": say("upload.refused", limit=limit),
    }
    told = "".join(f"--upload-{name}: {quoted(text)}; " for name, text in words.items())
    st.html(f"<style>.st-key-{key} {{ {told}}}</style>")
    st.file_uploader(label, kind or None, help=help, key=key, on_change=on_change, args=(key,))


def quoted(text: str) -> str:
    r"""A text as CSS writes it.

    >>> quoted('a "file" </style>')
    '"a \\22 file\\22  \\3c /style>"'
    """
    return '"' + "".join(f"\\{ord(mark):x} " if mark in CLOSING else mark for mark in text) + '"'
