"""A place for a file in the words of the page: Streamlit's uploader has its own, in English only."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.style_words import style_words


def file_uploader(
    label: str, key: str, on_change: Callable[[str], None], *, kind: str = "", help: str
) -> None:
    """Ask for one file; the page's state has it under `key`, which `on_change` is told.

    kind: the ending that a file must have, such as "zip"; any if left out.
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
