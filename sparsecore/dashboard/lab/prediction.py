"""Grade a description that the user types in by a run, in a child process; shown as bars."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Any

import streamlit as st

from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.jobs import SHORT_JOBS, JobError, run_command
from sparsecore.dashboard.saved_figures import draw_html
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


@dataclass(frozen=True)
class TextPrediction:
    """A grade, the probability of every grade, and each token of the text with its signed weight."""

    grade: str
    probabilities: dict[str, float]
    tokens: list[tuple[str, float]]

    @classmethod
    def of(cls, value: dict[str, Any]) -> TextPrediction:
        """The prediction that `python -m sparsecore predict --json` printed.

        >>> tokens = [{"token": "漏洞", "weight": 0.5}]
        >>> TextPrediction.of({"grade": "高危", "probabilities": {"高危": 1}, "tokens": tokens}).tokens
        [('漏洞', 0.5)]
        """
        tokens = [(str(each["token"]), float(each["weight"])) for each in value["tokens"]]
        shares = {str(grade): float(share) for grade, share in value["probabilities"].items()}
        return cls(str(value["grade"]), shares, tokens)


def predict(store: Store, run_id: str, text: str) -> TextPrediction:
    """Grade a text by a run of the store. Raises JobError, or TimeoutExpired."""
    arguments = ("predict", run_id, "-")
    return TextPrediction.of(run_command(*arguments, store=store, seconds=TIMEOUT_SECONDS, text=text))


@st.fragment
def ask(store: Store, run: Run) -> None:
    """Show the field for a description, and the run's prediction for the last one."""
    with st.container(border=True, key="predict"):
        st.markdown(f"**{say('predict.title')}**")
        with st.form("predict", border=False):
            text = st.text_area(say("predict.text"), key="predict_text", max_chars=LONGEST_TEXT, height=96)
            pressed = st.form_submit_button(say("predict.do"), icon=":material/label:", type="primary")
        if pressed and text.strip():
            st.session_state[ANSWER] = run.id, _answer(store, run, text)
        asked_of, found = st.session_state.get(ANSWER, (None, None))
        if asked_of != run.id:
            st.caption(say("predict.none"))
        elif isinstance(found, TextPrediction):
            _show(found, run.id)
        else:
            st.error(found)


def _answer(store: Store, run: Run, text: str) -> TextPrediction | str:
    with st.spinner(say("predict.running"), show_time=True):
        try:
            return SHORT_JOBS.start(lambda _: predict(store, run.id, text)).result()
        except JobError as error:
            return say("predict.refused", reason=plain(error))
        except subprocess.TimeoutExpired:
            return say("predict.slow", seconds=TIMEOUT_SECONDS)


def _show(found: TextPrediction, run_id: str) -> None:
    grade = grade_name(found.grade, say)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(say("predict.grade", grade=plain(grade)))
        markup = probability_bars(found.probabilities, found.grade, say)
        table = probability_table(found.probabilities, say)
        draw_html(markup, "predict_probabilities", f"run-{run_id}-grade", say("predict.title"), table)
    with right:
        st.markdown(say("predict.carried"))
        markup = shaded_tokens(found.tokens, found.grade, say)
        table = token_table(found.tokens, found.grade, say)
        draw_html(markup, "predict_tokens", f"run-{run_id}-words", say("predict.carried"), table)
