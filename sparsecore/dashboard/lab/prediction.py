"""Grade a description that the user types in by a run, in a child process; shown as bars."""

import subprocess
from typing import Any

import streamlit as st

from sparsecore.corpora.generator import BUILT_IN_SEED, generate
from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.jobs import SHORT_JOBS, JobError, run_command
from sparsecore.dashboard.saved_figures import draw_html
from sparsecore.engine.training.frame_reading import Scene
from sparsecore.figures.html.texts import (
    grade_name,
    probability_bars,
    probability_table,
    shaded_tokens,
    token_table,
)
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store

LONGEST_TEXT = 5_000  # characters: the longest description of a real export has some 4,000
TIMEOUT_SECONDS = 120  # torch is imported, and a paper-size network runs once a token
ANSWER = "answer"  # in the session: the last question, and what came of it


def predict(store: Store, run_id: str, text: str) -> dict[str, Any]:
    """Grade a text by a run of the store, as `python -m sparsecore predict --json` prints it.

    Raises JobError, or TimeoutExpired.
    """
    return run_command("predict", run_id, "-", store=store, seconds=TIMEOUT_SECONDS, text=text)


@st.fragment
def ask(store: Store, run: Run) -> None:
    """Show the field for a description, and the run's prediction for the last one."""
    with st.container(border=True, key="predict"):
        st.markdown(f"**{say('predict.title')}**")
        st.button(
            say("predict.example"),
            icon=":material/lightbulb:",
            key="predict_example",
            help=say("predict.example.help"),
            on_click=_insert_example,
            args=(store, run),
        )
        with st.form("predict", border=False):
            text = st.text_area(say("predict.text"), key="predict_text", max_chars=LONGEST_TEXT, height=96)
            pressed = st.form_submit_button(say("predict.do"), icon=":material/label:", type="primary")
        if pressed and text.strip():
            st.session_state[ANSWER] = run.id, _answer(store, run, text)
        asked_of, found = st.session_state.get(ANSWER, (None, None))
        if asked_of != run.id:
            st.caption(say("predict.none"))
        elif isinstance(found, dict):
            _show(found, run.id)
        else:
            st.error(found)


def _insert_example(store: Store, run: Run) -> None:
    """Put one of the run's test texts into the field: the one after that in it, else the first."""
    scenes = store.entries(run.id, ["scene"])
    sample = Scene.read(scenes[0].payload).meta.get("sample", ()) if scenes else ()
    examples = [text for text, _ in sample] or list(generate(1, BUILT_IN_SEED).texts)
    text = st.session_state.get("predict_text")
    place = examples.index(text) + 1 if text in examples else 0
    st.session_state["predict_text"] = examples[place % len(examples)][:LONGEST_TEXT]


def _answer(store: Store, run: Run, text: str) -> dict[str, Any] | str:
    with st.spinner(say("predict.running"), show_time=True):
        try:
            return SHORT_JOBS.start(lambda _: predict(store, run.id, text)).result()
        except JobError as error:
            return say("predict.refused", reason=plain(error))
        except subprocess.TimeoutExpired:
            return say("predict.slow", seconds=TIMEOUT_SECONDS)


def _show(found: dict[str, Any], run_id: str) -> None:
    chosen, shares = found["grade"], found["probabilities"]
    tokens = [(each["token"], each["weight"]) for each in found["tokens"]]
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(say("predict.grade", grade=plain(grade_name(chosen, say))))
        markup = probability_bars(shares, chosen, say)
        table = probability_table(shares, say)
        draw_html(markup, "predict_probabilities", f"run-{run_id}-grade", say("predict.title"), table)
    with right:
        st.markdown(say("predict.carried"))
        markup = shaded_tokens(tokens, chosen, say)
        table = token_table(tokens, chosen, say)
        draw_html(markup, "predict_tokens", f"run-{run_id}-words", say("predict.carried"), table)
