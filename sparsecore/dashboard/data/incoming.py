"""Import a file of texts: inspect it, preview it, and store it on request."""

import tempfile
from collections.abc import Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from sparsecore.corpora.corpus import GRADES, CorpusError
from sparsecore.corpora.generator import BUILT_IN_SEED, generate
from sparsecore.corpora.grades import LEAVE_OUT
from sparsecore.corpora.inspection import Inspection, Preview, preview
from sparsecore.corpora.storage import MAX_NAME_LENGTH, StoredCorpus, add
from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.jobs import in_background
from sparsecore.dashboard.saved_figures import draw_html
from sparsecore.dashboard.visitor import visitor
from sparsecore.dashboard.widgets import file_uploader
from sparsecore.figures.html.texts import grade_bar, grade_name, grade_table, samples
from sparsecore.runs.store.people import Person

INCOMING = "incoming"  # in the session: the file that is looked at
UPLOADS = "uploads"  # in the session: how many files have come; each has an uploader of its own
JUST_KEPT = "just_kept"
POLL_SECONDS = 0.3
MAX_ASKED = 20  # unknown grades; a column with more holds no grades
BUILT_IN_SHOWN = 5  # of the generated texts


class Incoming:
    """An uploaded file in its own temporary folder, and the job that works on it."""

    def __init__(self, name: str, content: memoryview) -> None:
        shown = "".join(c for c in Path(name).name if c.isprintable())
        self.name = shown[:MAX_NAME_LENGTH].strip() or "texts"
        self.folder = tempfile.TemporaryDirectory(prefix="sparsecore-", ignore_cleanup_errors=True)
        self.path = Path(self.folder.name) / "upload"  # never under a name that somebody else chose
        self.path.write_bytes(content)
        self.columns: list[str] = []  # to choose from, as the sheets
        self.sheets: list[str] = []
        self.options: dict[str, Any] = {}
        self.look()

    def look(self, **options: Any) -> None:
        """Start reading with these `ReadOptions`, on top of those given before."""
        self.options |= options
        self.keeping = False
        self.work = in_background(partial(preview, self.path, **self.options))

    def offer(self, columns: list[str], sheets: list[str]) -> None:
        """Offer these columns and sheets, if it has any, in place of those that were taken."""
        self.columns, self.sheets = columns or self.columns, sheets or self.sheets

    def keep(self, name: str, folder: Path, person: Person) -> None:
        """Start storing its texts under a name, for this person."""
        if not self.keeping:
            self.seen: Preview = self.work.result()
        self.keeping = True
        known = {"owner": person.owner, "may_change": person.may}
        self.work = in_background(partial(add, self.path, name, folder, **known, **self.options))

    def close(self) -> None:
        """Cancel the work on it and discard it."""
        self.work.cancel()
        self.folder.cleanup()


def translated(error: CorpusError) -> str:
    """Return the error of a file as a sentence in the user's language."""
    lists = {name: ", ".join(v) if isinstance(v, list) else v for name, v in error.details.items()}
    sentence = say(f"corpus.{error.code}", sentence=str(error), **lists)
    member = error.details.get("member")
    if member and member not in sentence:
        sentence = say("data.in_archive", name=member, sentence=sentence)
    return plain(sentence)


def incoming(folder: Path) -> None:
    """Show the uploader and the preview of the file; its texts are stored in `folder`."""
    key = f"upload{st.session_state.get(UPLOADS, 0)}"
    file_uploader(say("upload"), key, _take, help=say("upload.help"))
    held: Incoming | None = st.session_state.get(INCOMING)
    if kept := st.session_state.get(JUST_KEPT):
        st.success(say("data.kept", name=plain(kept.name), rows=f"{kept.inspection.rows:,}"))
    if held is None:
        _built_in()
        return
    if not held.work.wait():
        _progress(held)
    elif held.keeping:
        _kept(held, folder)
    else:
        _looked_at(held, folder)


def _built_in() -> None:
    """Show the built-in texts, used until a file is imported."""
    st.markdown(f"**{say('data.builtin.first')}**")
    st.caption(say("data.builtin.help"))
    corpus = generate(BUILT_IN_SHOWN, BUILT_IN_SEED)
    st.html(samples(zip(corpus.texts, corpus.labels, strict=True), say))
    st.caption(say("data.builtin.says"))


def _take(key: str) -> None:
    file = st.session_state[key]
    if file is None:
        return
    discard()
    st.session_state[JUST_KEPT] = None
    st.session_state[INCOMING] = Incoming(file.name, file.getbuffer())
    # A new uploader lets go of the bytes of the old one: the file is on the disk now.
    st.session_state[UPLOADS] = st.session_state.get(UPLOADS, 0) + 1


def discard() -> None:
    """Discard the previewed file."""
    held = st.session_state.pop(INCOMING, None)
    if held is not None:
        held.close()


@st.fragment(run_every=POLL_SECONDS)
def _progress(held: Incoming) -> None:
    if st.session_state.get(INCOMING) is not held or held.work.is_over:
        st.rerun()
    what = "data.keeping" if held.keeping else "data.reading"
    st.progress(held.work.share, text=say(what, name=plain(held.name)))
    st.button(say("data.cancel"), icon=":material/close:", on_click=discard, key="cancel_reading")


def _looked_at(held: Incoming, folder: Path, refused: str | None = None) -> None:
    try:
        found = held.seen if held.keeping else held.work.result()
    except CorpusError as error:
        held.offer(error.details.get("columns", []), error.details.get("sheets", []))
        if error.code == "unknown_grades":
            _ask_grades(held, error)
        elif held.columns and not held.options:
            st.info(say("data.columns"))
        else:
            st.error(translated(error))
        _pick(held, expanded=error.code != "unknown_grades")
        return
    held.offer(found.columns, found.sheets)
    st.markdown(f"**{plain(held.name)}**")
    st.html(facts(found.inspection))
    grades(found.inspection.labels, held.name, "incoming")
    st.caption(say("data.first"))
    with st.container(key="first_texts"):
        st.html(samples(found.samples, say))
    _pick(held, expanded=False)
    key = f"name{st.session_state[UPLOADS]}"  # of this file: another one begins with its own name
    name = st.text_input(say("data.name"), held.name, max_chars=MAX_NAME_LENGTH, key=key)
    if refused:
        st.error(refused)
    with st.container(horizontal=True):
        if st.button(say("data.keep"), type="primary", icon=":material/save:", key="keep"):
            held.keep(name, folder, visitor())
            st.rerun()
        st.button(say("data.discard"), icon=":material/close:", on_click=discard, key="discard")


def grades(labels: Mapping[str, int], name: str, key: str) -> None:
    """Show the number of texts per grade; `key` is unique on the page."""
    title = f"{say('data.labels')} · {name}"
    draw_html(grade_bar(labels, say), f"grades_{key}", f"texts-{key}", title, grade_table(labels, say))


def _kept(held: Incoming, folder: Path) -> None:
    try:
        kept: StoredCorpus = held.work.result()
    except CorpusError as error:
        _looked_at(held, folder, translated(error))
        return
    except OSError as error:
        _looked_at(held, folder, say("data.disk", reason=plain(error.strerror or error)))
        return
    discard()
    st.session_state[JUST_KEPT] = kept
    st.rerun()


def _ask_grades(held: Incoming, error: CorpusError) -> None:
    """Let the user say what each unknown grade means; nothing can be saved before."""
    unknown = error.details["unknown"]
    st.warning(translated(error))
    if len(unknown) > MAX_ASKED:
        st.error(say("data.grades.many", count=MAX_ASKED))
        return
    st.markdown(f"**{say('data.grades')}**")
    st.caption(say("data.grades.help"))
    meanings = {grade: grade_name(grade, say) for grade in reversed(GRADES)}
    meanings[LEAVE_OUT] = say("data.grades.leave")
    with st.form("grades", border=False):
        chosen = {
            word: st.selectbox(
                say("data.grades.word", word=plain(word), rows=f"{count:,}"),
                options=meanings,
                index=None,
                format_func=meanings.get,
                placeholder=say("data.grades.choose"),
                key=f"grade{st.session_state[UPLOADS]}_{word}",
            )
            for word, count in unknown.items()
        }
        if st.form_submit_button(say("data.grades.read"), type="primary", icon=":material/table_view:"):
            known = {word: grade for word, grade in chosen.items() if grade}
            held.look(grades=held.options.get("grades", {}) | known)
            st.rerun()


def _pick(held: Incoming, expanded: bool) -> None:
    """Let the user choose the columns of texts and grades, and a workbook's sheet and header row."""
    if not held.columns and not held.sheets:
        return
    turn = st.session_state[UPLOADS]  # another file has other columns
    title = say("data.where.sheets" if held.sheets else "data.where")
    with st.expander(title, expanded=expanded), st.form("columns", border=False):
        picked: dict[str, Any] = {}
        found: dict[str, Any] = {"placeholder": say("data.column.found"), "index": None}
        for name, side in zip(("text_column", "label_column"), st.columns(2), strict=True):
            key = f"{name}{turn}"
            picked[name] = side.selectbox(say(f"data.{name}"), held.columns, key=key, **found)
        if held.sheets:
            sheet, row = st.columns(2)
            picked["sheet"] = sheet.selectbox(say("data.sheet"), held.sheets, key=f"sheet{turn}", **found)
            picked["header_row"] = row.number_input(
                say("data.header_row"), 1, None, None, placeholder=say("data.column.found"), key=f"row{turn}"
            )
        if st.form_submit_button(say("data.read"), icon=":material/table_view:"):
            held.look(**picked)
            st.rerun()


def facts(found: Inspection) -> str:
    """Show format, rows, languages, lengths and skipped rows as a list of terms."""
    counted = {name: f"{count:,}" for name, count in found.lengths.items()}
    skipped = [f"{say(f'skipped.{reason}')} {count:,}" for reason, count in found.skipped.items()]
    languages = [f"{say(f'data.{name}')} {count:,}" for name, count in found.languages.items() if count]
    rows = {
        "format": found.format or say("data.unknown"),
        "rows": f"{found.rows:,}",
        "languages": " · ".join(languages),
        "lengths": say("data.lengths.text", **counted),
        "skipped": " · ".join(skipped) or say("data.none"),
    }
    terms = "".join(f"<dt>{escape(say(f'data.{k}'))}</dt><dd>{escape(v)}</dd>" for k, v in rows.items())
    return f'<dl class="sp-facts">{terms}</dl>'
