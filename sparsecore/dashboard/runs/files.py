"""Export the chosen run: archive, script, report, and its weights in every format."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import streamlit as st

from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.jobs import Job, Pool
from sparsecore.dashboard.runs import archives
from sparsecore.dashboard.session import the_store
from sparsecore.figures.reports.run import run_report
from sparsecore.runs.files.script import run_script
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store

POLL_SECONDS = 0.5
DOWNLOAD = ":material/download:"
EXPORTS = Pool("export", at_once=2, kept=8)  # each process holds torch, each job the files of a run


def export(store: Store, run_id: str) -> Job:
    """Export the weights of a run in every form; the result is a `WeightFiles.summary`."""

    def work(job: Job) -> dict[str, Any]:
        job.folder = TemporaryDirectory(prefix="sparsecore-", ignore_cleanup_errors=True)
        question = {"run": run_id, "folder": job.folder.name}
        return job.run_child("sparsecore.runs.files.weight_files_process", store, question)

    return EXPORTS.share((str(store.home), run_id), work)


def read_export(job: Job, form: str) -> bytes:
    """One of the files of a finished export."""
    return (Path(job.folder.name) / job.result()["forms"][form]["file"]).read_bytes()


def show(run: Run) -> None:
    """The buttons, and the table of sizes once the files are made."""
    st.markdown(f"**{say('take.title')}**")
    finished = run.state == "ended" and bool(run.result)
    with st.container(horizontal=True):
        archives.save(run)
        _file("report", run, partial(_report, run.id), "html", "text/html", enabled=bool(run.step))
        _file("script", run, partial(_script, run.id), "py", "text/x-python", enabled=finished)
        found = EXPORTS.find((str(the_store().home), run.id))
        if found is None or found.problem:
            st.button(
                say("take.weights"),
                icon=":material/grid_4x4:",
                help=say("take.weights.help") if finished else say("take.unfinished"),
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
        _progress(found)
    else:
        _sizes(run, found)


def _file(form: str, run: Run, made, ending: str, kind: str, *, enabled: bool) -> None:
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


def _report(run_id: str) -> bytes:
    return run_report(the_store(), the_store().get(run_id)).encode()


def _script(run_id: str) -> bytes:
    return run_script(the_store(), the_store().get(run_id)).encode()


@st.fragment(run_every=POLL_SECONDS)
def _progress(found: Job) -> None:
    if found.is_over:
        st.rerun()
    st.progress(found.share, say(f"take.making.{found.facts.get('form') or 'wait'}"))


def _sizes(run: Run, found: Job) -> None:
    """Show every format with its size compared with dense, and its file."""
    result = found.result()
    forms = result["forms"]
    dense = forms["dense"]["bytes"]
    st.dataframe(
        [
            {"form": say(f"take.form.{form}"), "bytes": about["bytes"], "share": about["bytes"] / dense}
            for form, about in forms.items()
        ],
        hide_index=True,
        height="content",
        column_config={
            "form": say("take.form"),
            "bytes": st.column_config.NumberColumn(say("take.bytes"), format="localized"),
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
