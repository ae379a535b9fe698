"""Lessons: a question before each run, the run or figure, the class's answers, and why."""

import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.lab.transport import language_switch
from sparsecore.dashboard.lessons import parts
from sparsecore.dashboard.lessons.figures import lesson_figure
from sparsecore.dashboard.live_view import live_view
from sparsecore.dashboard.presses import do_pressed
from sparsecore.dashboard.visitor import tell_refusal

ICON = ":material/school:"
ORDER = 50

do_pressed()
lesson = parts.chosen_lesson()
done = parts.answers_of_visitor()
answer = done.get(lesson.id)
revealed = answer is not None

with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.subheader(f"{lesson.order} · {lesson.title.get(parts.language())}", anchor=False)
    language_switch()
parts.order(lesson, done)
tell_refusal()


def show_text() -> None:
    """Show the paragraphs of the lesson."""
    for paragraph in lesson.text:
        st.markdown(paragraph.get(parts.language()))


run = None
if lesson.runs:
    words, question = st.columns(2, gap="medium")
    with words:
        show_text()
        if revealed:
            parts.why(lesson)
    with question:
        parts.question(lesson, answer)
    run = parts.shown_run(lesson, revealed=revealed)
    if lesson.figure and revealed:
        lesson_figure(lesson, run, revealed=revealed)
    live_view(run)
else:
    words, shown = st.columns([5, 7], gap="medium")
    with words:
        show_text()
        parts.question(lesson, answer)
        if revealed:
            parts.why(lesson)
    with shown:
        lesson_figure(lesson, None, revealed=revealed)

if revealed:
    parts.onward(lesson, run)
elif not lesson.runs:
    st.caption(say("lessons.more_after"))
parts.neighbours(lesson)
parts.for_the_teacher()
