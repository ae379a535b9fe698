"""Lessons: a question before each run, the run or figure, the class's answers, and why."""

import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.lessons import parts
from sparsecore.dashboard.lessons.figures import lesson_figure
from sparsecore.dashboard.live_view import live_view
from sparsecore.dashboard.session import do_pressed
from sparsecore.dashboard.visitor import tell_refusal
from sparsecore.dashboard.widgets import page_header

ICON = ":material/school:"
ORDER = 50

do_pressed()
lesson = parts.chosen_lesson()
done = parts.answers_of_visitor()
answer = done.get(lesson.id)
revealed = answer is not None

page_header(f"{lesson.order} · {parts.in_language(lesson.title)}")
parts.contents(done)
tell_refusal()
# The figure of a lesson without a run is on the right; a run takes the full width below.
left, right = st.columns([1, 1] if lesson.runs else [5, 7], gap="medium")
with left:
    parts.show(lesson.text)
with right if lesson.runs else left:
    parts.question(lesson, answer)
with left:
    if revealed:
        st.markdown(f"**{say('lessons.why')}**")
        parts.show(lesson.question.why)
run = None
if lesson.runs:
    run = parts.shown_run(lesson, revealed=revealed)
    if lesson.figure and revealed:
        lesson_figure(lesson, run, revealed=revealed)
    live_view(run, brief=not revealed)
else:
    with right:
        lesson_figure(lesson, None, revealed=revealed)
if revealed:
    parts.onward(lesson, run)
elif not lesson.runs:
    st.caption(say("lessons.more_after"))
parts.neighbours(lesson, revealed=revealed)
parts.for_the_teacher()
