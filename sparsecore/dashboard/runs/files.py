"""Runs as files: the export of the chosen run in every format, and the import of an archive."""

import io
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import streamlit as st

from sparsecore.dashboard.controls import languages, plain, say
from sparsecore.dashboard.jobs import Job, Pool, in_background
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import visitor
from sparsecore.dashboard.widgets import file_uploader
from sparsecore.figures.reports.run import run_report
from sparsecore.runs.files.archive import ImportedRun, export_run, import_run
from sparsecore.runs.files.archive_file import ArchiveError
from sparsecore.runs.files.script import run_script
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store

POLL_SECONDS = 0.5
INCOMING = "incoming_run"  # in the session: the import of the file that came last
UPLOADS = "run_uploads"  # in the session: how many came; each has an uploader of its own
DOWNLOAD = ":material/download:"
EXPORTS = Pool("export", at_once=2, kept=8)  # each process holds torch, each job the files of a run


def export(store: Store, run_id: str) -> Job:
    """Export the weights of a run in every form; the result is a `WeightFiles` as a dict."""

    def work(job: Job) -> dict[str, Any]:
        job.folder = TemporaryDirectory(prefix="sparsecore-", ignore_cleanup_errors=True)
        question = {"run": run_id, "folder": job.folder.name}
        return job.run_child("sparsecore.runs.files.weight_files", store, question)

    return EXPORTS.share((str(store.home), run_id), work)


def read_export(job: Job, form: str) -> bytes:
    """One of the files of a finished export."""
    return (Path(job.folder.name) / job.result()["forms"][form]["file"]).read_bytes()


def show(run: Run) -> None:
    """The buttons, and the table of sizes once the files are made."""
    st.markdown(f"**{say('take.title')}**")
    finished = run.state == "ended" and bool(run.result)
    with st.container(horizontal=True):
        _file("archive", run, partial(_archive, run.id), "zip", "application/zip")
        report = partial(_report, run.id, languages())
        _file("report", run, report, "html", "text/html", enabled=bool(run.step))
        _file("script", run, partial(_script, run.id), "py", "text/x-python", enabled=finished)
        found = EXPORTS.find((str(the_store().home), run.id))
        if found is None or found.problem:
            st.button(
                say("take.weights"),
                icon=":material/grid_4x4:",
                help=say("take.weights.help" if finished else "take.unfinished"),
                key="take_weights",
                disabled=not finished,
                on_click=export,
                args=(the_store(), run.id),
            )
    if found is None:
        return
    if found.problem:
        st.error(say("take.problem", why=plain(found.problem)))
    elif not found.is_over:
        _exporting(found)
    else:
        _sizes(run, found)


def _file(form: str, run: Run, made, ending: str, kind: str, *, enabled: bool = True) -> None:
    st.download_button(
        say(f"take.{form}"),
        made,
        f"run-{run.id}.{ending}",
        kind,
        icon=DOWNLOAD,
        help=say(f"take.{form}.help") if enabled else say("take.unfinished"),
        key=f"take_{form}",
        disabled=not enabled,
        on_click="ignore",
    )


def _report(run_id: str, shown: tuple[str, ...]) -> bytes:
    return run_report(the_store(), the_store().get(run_id), shown).encode()


def _script(run_id: str) -> bytes:
    return run_script(the_store(), the_store().get(run_id)).encode()


def _archive(run_id: str) -> bytes:
    file = io.BytesIO()
    export_run(the_store(), run_id, file)
    return file.getvalue()


@st.fragment(run_every=POLL_SECONDS)
def _exporting(found: Job) -> None:
    if found.is_over:
        st.rerun()
    st.progress(found.share, say(f"take.making.{found.facts.get('form') or 'wait'}"))


def _sizes(run: Run, found: Job) -> None:
    """Show the bytes of every format's numbers, also relative to dense, and of its headers; and its file."""
    result = found.result()
    forms = result["forms"]
    sizes = {form: (about["numbers"], about["bytes"] - about["numbers"]) for form, about in forms.items()}
    dense = forms["dense"]["numbers"]
    st.dataframe(
        [
            {"form": say(f"take.form.{form}"), "numbers": size, "share": size / dense, "headers": rest}
            for form, (size, rest) in sizes.items()
        ],
        hide_index=True,
        height="content",
        column_config={
            "form": say("take.form"),
            "numbers": st.column_config.NumberColumn(say("take.numbers"), format="localized"),
            "headers": st.column_config.NumberColumn(say("take.headers"), format="localized"),
            "share": st.column_config.NumberColumn(say("take.share"), format="percent"),
        },
    )
    with st.container(horizontal=True):
        for form, about in forms.items():
            if about["file"]:
                st.download_button(
                    say(f"take.form.{form}"),
                    partial(read_export, found, form),
                    about["file"],
                    "application/octet-stream",
                    icon=DOWNLOAD,
                    key=f"take_{form}",
                    on_click="ignore",
                )
    difference = f"{result['difference']:.1g}"
    st.caption(say("take.checked", difference=difference, inputs=result["inputs"]))


# -- the import of an archive


def bring() -> None:
    """The uploader, and what became of the file that came."""
    key = f"run_upload{st.session_state.get(UPLOADS, 0)}"
    file_uploader(say("archive.upload"), key, _take, kind="zip", help=say("archive.upload.help"))
    work: Job | None = st.session_state.get(INCOMING)
    if work is None:
        return
    if not work.wait():
        _importing(work)
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
    address = f"./?run={found.run}&lang={st.session_state['lang']}"
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
def _importing(work: Job) -> None:
    if st.session_state.get(INCOMING) is not work or work.is_over:
        st.rerun()
    st.progress(work.share, text=say("archive.reading"))
    st.button(say("data.cancel"), icon=":material/close:", on_click=_discard, key="cancel_import")
