"""A file of texts from the reader's machine: read, checked and kept, or refused with one sentence."""

from __future__ import annotations

import tempfile
from pathlib import Path

import streamlit as st

from sparsecore.corpora import CorpusError, read_corpus
from sparsecore.corpora.shelf import keep
from sparsecore.dashboard.controls import plain, problem, put, say
from sparsecore.runs.store import Store


def texts(store: Store) -> None:
    """The uploader, and what the present texts are."""
    file = st.file_uploader(say("upload"), help=say("upload.help"), key="upload")
    if file is not None and st.session_state.get("uploaded") != file.file_id:
        st.session_state["uploaded"] = file.file_id
        st.session_state["upload_error"] = None
        with st.spinner(say("upload.reading")):
            _take(store, file.name, file.getbuffer())
    problem("data")
    if st.session_state.get("upload_error"):
        st.error(plain(st.session_state["upload_error"]))
    if st.session_state.get("data"):
        kept = say("upload.kept", name=st.session_state["data"])
        st.success(st.session_state.get("upload_summary") or kept)
        st.button(say("upload.drop"), on_click=_drop, icon=":material/close:")
    else:
        st.caption(say("upload.builtin"))


def _take(store: Store, name: str, content: memoryview) -> None:
    with tempfile.TemporaryDirectory(prefix="sparsecore-") as folder:
        # The name is the reader's: only its last part may name a file, and only for messages.
        path = Path(folder) / (Path(name).name[:80] or "upload")
        path.write_bytes(content)
        try:
            corpus = read_corpus(path)
        except CorpusError as error:
            st.session_state["upload_error"] = _translated(error)
            return
    put("data", keep(corpus, store.home / "corpora"))
    put("noise", 0.0)
    skipped = sum(corpus.skipped.values())
    st.session_state["upload_summary"] = say(
        "upload.summary", name=plain(corpus.name), rows=f"{len(corpus.texts):,}", skipped=f"{skipped:,}"
    )


def _translated(error: CorpusError) -> str:
    lists = {name: ", ".join(v) if isinstance(v, list) else v for name, v in error.details.items()}
    return say(f"corpus.{error.code}", sentence=str(error), **lists)


def _drop() -> None:
    put("data", None)
    for name in ("upload_summary", "upload_error"):
        st.session_state[name] = None
