"""A run as a file: saved from this server, or brought from another and checked whole before it is kept."""

from __future__ import annotations

import io
from functools import partial

import streamlit as st

from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.jobs import Job, in_background
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import visitor
from sparsecore.dashboard.widgets import file_uploader
from sparsecore.runs.files.archive import ImportedRun, export_run, import_run
from sparsecore.runs.files.archive_file import ArchiveError
from sparsecore.runs.store.run import Run

INCOMING = "incoming_run"  # in the session: the import of the file that came last
UPLOADS = "run_uploads"  # in the session: how many came; each has an uploader of its own
POLL_SECONDS = 0.3


def save(run: Run) -> None:
    """A run as a file, made when the button is pressed."""
    st.download_button(
        say("archive.save"),
        partial(_exported, run.id),
        f"run-{run.id}.zip",
        "application/zip",
        icon=":material/download:",
        help=say("archive.save.help"),
        on_click="ignore",
    )


def _exported(run_id: str) -> bytes:
    file = io.BytesIO()
    export_run(the_store(), run_id, file)
    return file.getvalue()


def bring() -> None:
    """The uploader, and what became of the file that came."""
    key = f"run_upload{st.session_state.get(UPLOADS, 0)}"
    file_uploader(say("archive.upload"), key, _take, kind="zip", help=say("archive.upload.help"))
    work: Job | None = st.session_state.get(INCOMING)
    if work is None:
        return
    if not work.wait():
        _progress(work)
        return
    try:
        found = work.result()
    except ArchiveError as error:
        st.error(refused(error))
        return
    if found is not None:
        st.success(_told(found))


def refused(error: ArchiveError) -> str:
    """Why a file is not taken, in the reader's language."""
    return plain(say(f"archive.{error.code}", **error.details))


def _told(found: ImportedRun) -> str:
    key = "archive.found" if not found.new else "archive.renamed" if found.renamed else "archive.done"
    address = f"/?run={found.run}&lang={st.session_state['lang']}"
    return f"{say(key, run=found.run)} [{say('runs.open')}]({address})"


def _take(key: str) -> None:
    file = st.session_state[key]
    if file is None:
        return
    _discard()
    st.session_state[INCOMING] = in_background(partial(import_run, the_store(), file, owner=visitor().owner))
    # A new uploader lets go of the old one's bytes, which only the import holds now.
    st.session_state[UPLOADS] = st.session_state.get(UPLOADS, 0) + 1


def _discard() -> None:
    work = st.session_state.pop(INCOMING, None)
    if work is not None:
        work.cancel()


@st.fragment(run_every=POLL_SECONDS)
def _progress(work: Job) -> None:
    if st.session_state.get(INCOMING) is not work or work.is_over:
        st.rerun()
    st.progress(work.share, text=say("archive.reading"))
    st.button(say("data.cancel"), icon=":material/close:", on_click=_discard, key="cancel_import")
