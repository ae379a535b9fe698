"""The parts of the Lessons page: the order, the question, the class's answers, and what to try next.

The store keeps answers under the owner in the browser's cookie, like runs: they outlive the tab and count
once per person. A copy in the browser's storage could disagree with it.
"""

from collections.abc import Iterable, Sequence
from html import escape

import streamlit as st

from sparsecore.dashboard.controls import SETTINGS, query_of, say
from sparsecore.dashboard.pages import page_file
from sparsecore.dashboard.saved_figures import draw_html
from sparsecore.dashboard.session import LOOKED_AT, press, put_in_address, the_store
from sparsecore.dashboard.visitor import visitor
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.run import Run
from sparsecore.teaching.classroom import answers_of, clear_answers, count_answers, record_answer, shared_run
from sparsecore.teaching.lessons import BilingualText, Lesson, lessons

CHOSEN = "lesson"  # in the session and in the address
RIGHT, OTHER = "#009e73", "#7f7f7f"


def in_language(text: BilingualText) -> str:
    """Return a text in the page's language."""
    return text.get(st.session_state["lang"])


def show(paragraphs: Iterable[BilingualText]) -> None:
    """Show paragraphs in the page's language."""
    for paragraph in paragraphs:
        st.markdown(in_language(paragraph))


def chosen_lesson() -> Lesson:
    """Return the lesson of the address, else the last viewed, else the first; updates the address."""
    known = {lesson.id: lesson for lesson in lessons()}
    given = st.query_params.get(CHOSEN) or st.session_state.get(CHOSEN)
    lesson = known.get(given, lessons()[0])
    turn(lesson.id)
    return lesson


def turn(lesson_id: str) -> None:
    """Open another lesson."""
    st.session_state[CHOSEN] = lesson_id
    put_in_address({CHOSEN: lesson_id})


def contents(done: dict[str, int]) -> None:
    """List all lessons by number and title, answered ones with a tick."""
    ticks = {lesson.id: " :material/check:" * (lesson.id in done) for lesson in lessons()}
    names = {each.id: f"{each.order} · {in_language(each.title)}{ticks[each.id]}" for each in lessons()}
    with st.container(horizontal=True, vertical_alignment="center", key="lesson_order"):
        st.menu_button(
            say("lessons.contents"),
            list(names),
            format_func=names.get,
            key="lesson_contents",
            on_click=lambda: turn(st.session_state["lesson_contents"]),
            icon=":material/toc:",
        )
        st.caption(say("lessons.progress", done=len(done.keys() & names.keys()), all=len(names)))


def neighbours(lesson: Lesson, *, revealed: bool) -> None:
    """Link the previous and the next lesson by title; once revealed, the next one stands out."""
    every = (None, *lessons(), None)
    place = every.index(lesson)
    before = {"icon": ":material/arrow_back:"}
    after = {"icon": ":material/arrow_forward:", "icon_position": "right"}
    after["type"] = "primary" if revealed else "secondary"
    with st.container(horizontal=True, horizontal_alignment="distribute", key="lesson_neighbours"):
        for what, there, options in (
            ("previous", every[place - 1], before),
            ("next", every[place + 1], after),
        ):
            title = in_language(there.title) if there else say(f"lessons.{what}.none")
            options |= {"key": f"lesson_{what}", "help": say(f"lessons.{what}"), "disabled": there is None}
            st.button(title, **press(turn, there and there.id), **options)


def question(lesson: Lesson, answer: int | None) -> None:
    """Show the question; after the answer, the class's answers."""
    given = lesson.question
    choices = [in_language(choice) for choice in given.choices]
    with st.container(border=True, key="lesson_question"):
        st.markdown(f"**{in_language(given.ask)}**")
        if answer is None:
            for place, choice in enumerate(choices):
                answering = press(record_answer, the_store(), lesson.id, place, visitor())
                st.button(choice, key=f"lesson_choice_{place}", width="stretch", **answering)
            st.caption(say("lessons.ask"))
            return
        counts = count_answers(the_store(), lesson.id, len(choices))
        table = (say("save.answer"), say("save.people")), list(zip(choices, counts, strict=True))
        bars = histogram(choices, counts, given.right, answer)
        title = f"{say('lessons.answers')} · {in_language(lesson.title)}"
        draw_html(bars, "lesson_answers", f"lesson-{lesson.id}-answers", title, table)
        st.caption(say("lessons.class", people=sum(counts)))


def histogram(choices: Sequence[str], counts: Sequence[int], right: int, mine: int) -> str:
    """Draw the class's answers as bars with counts; the right one in green, the user's own marked."""
    rows, most = [], max(1, *counts)
    for place, (choice, count) in enumerate(zip(choices, counts, strict=True)):
        notes = [say("lessons.right")] * (place == right) + [say("lessons.mine")] * (place == mine)
        note = f"<small>{escape(' · '.join(notes))}</small>" if notes else ""
        bar = (
            f'<i style="width:{100 * count / most:.1f}%;background:{RIGHT if place == right else OTHER}"></i>'
        )
        right_or_not = ' class="sp-right"' if place == right else ""
        rows.append(f"<li{right_or_not}><b>{escape(choice)}{note}</b><span>{bar}</span><em>{count}</em></li>")
    return f'<ol class="sp-answers">{"".join(rows)}</ol>'


def shown_run(lesson: Lesson, *, revealed: bool) -> Run:
    """Return the lesson's run to show: the first until the answer, then the chosen one."""
    names = [in_language(shot.name) for shot in lesson.runs]
    place = 0
    if revealed and len(names) > 1:
        place = st.segmented_control(
            say("lessons.shots"),
            range(len(names)),
            default=1,
            format_func=names.__getitem__,
            required=True,
            key=f"lesson_shot_{lesson.id}",
            label_visibility="collapsed",
        )
    else:
        st.markdown(f"**{names[0]}**")
    return shared_run(the_store(), lesson.runs[place].config)


def onward(lesson: Lesson, run: Run | None) -> None:
    """Show links to try next: pages with settings."""
    st.markdown(f"**{say('lessons.onward')}**")
    with st.container(horizontal=True, key="lesson_onward"):
        for place, link in enumerate(lesson.onward):
            if st.button(in_language(link.label), icon=":material/arrow_outward:", key=f"onward_{place}"):
                query = link.query
                if link.page == "lab":  # nothing from the shown run
                    query = query | query_of(RunConfig.parse(link.query_values()).model_dump())
                _go_to(link.page, query)
        label = say("lessons.open_lab")
        if run is not None and st.button(label, icon=":material/science:", key="lesson_lab"):
            _go_to("lab", {"run": run.id})


def _go_to(page: str, query: dict[str, str]) -> None:
    """Open a page with the settings of its address, replacing earlier ones."""
    st.session_state.pop(SETTINGS, None)
    st.session_state.pop(LOOKED_AT, None)
    st.switch_page(page_file(page), query_params={"lang": st.session_state["lang"]} | query)


def for_the_teacher() -> None:
    """Clear the answers for a new class."""
    person = visitor()
    words = say("lessons.forget")
    if person.teacher and st.button(words, icon=":material/restart_alt:", key="lesson_forget"):
        clear_answers(the_store(), [lesson.id for lesson in lessons()], person)
        st.rerun()


def answers_of_visitor() -> dict[str, int]:
    """Return the lessons that the user has answered, and the answers."""
    return answers_of(the_store(), visitor().owner)
