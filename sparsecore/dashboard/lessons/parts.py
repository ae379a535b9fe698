"""The parts of the Lessons page: the order, the question, the class's answers, and what to try next.

The store keeps answers under the owner in the browser's cookie, like runs: they outlive the tab and count
once per person. A copy in the browser's storage could disagree with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from sparsecore.dashboard.controls import SETTINGS, hold, say
from sparsecore.dashboard.pages import page_file
from sparsecore.dashboard.presses import press
from sparsecore.dashboard.saved_figures import draw_html
from sparsecore.dashboard.session import LOOKED_AT, the_store
from sparsecore.dashboard.visitor import visitor
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.run import Run
from sparsecore.teaching.answers import answers_of, clear_answers, count_answers, record_answer
from sparsecore.teaching.lessons import Lesson, NextStep, lessons
from sparsecore.teaching.shared_runs import shared_run

CHOSEN = "lesson"  # in the session and in the address
PICKED = "lesson_picked"
SHOT = "lesson_shot"
RIGHT, OTHER = "#009e73", "#7f7f7f"


def language() -> str:
    """The language of the page."""
    return st.session_state["lang"]


def chosen_lesson() -> Lesson:
    """Return the lesson of the address, else the last viewed, else the first; updates the address."""
    known = {lesson.id: lesson for lesson in lessons()}
    given = st.query_params.get(CHOSEN) or st.session_state.get(CHOSEN)
    lesson = known.get(given, lessons()[0])
    st.session_state[CHOSEN] = lesson.id
    if st.query_params.get(CHOSEN) != lesson.id:
        st.query_params[CHOSEN] = lesson.id
    return lesson


def turn(lesson_id: str) -> None:
    """Open another lesson."""
    st.session_state[CHOSEN] = st.query_params[CHOSEN] = lesson_id


def order(lesson: Lesson, done: dict[str, int]) -> None:
    """Show all lessons by number, answered ones with a tick."""

    def pick() -> None:
        if st.session_state[PICKED]:
            turn(st.session_state[PICKED])

    def number(lesson_id: str) -> str:
        at = next(place for place, each in enumerate(lessons(), 1) if each.id == lesson_id)
        return f"{at} :material/check:" if lesson_id in done else str(at)

    hold(PICKED, lesson.id)
    names = [each.id for each in lessons()]
    with st.container(horizontal=True, vertical_alignment="center", key="lesson_order"):
        st.segmented_control(
            say("lessons.order"),
            names,
            format_func=number,
            key=PICKED,
            on_change=pick,
            required=True,
            label_visibility="collapsed",
        )
        _arrow("previous", -1)
        _arrow("next", 1)
        _contents(done)
        st.caption(say("lessons.progress", done=len(done.keys() & set(names)), all=len(names)))


def _contents(done: dict[str, int]) -> None:
    """Show all lessons by title, for users who do not know the number."""

    def pick() -> None:
        turn(st.session_state["lesson_contents"])

    def name(lesson_id: str) -> str:
        lesson = next(each for each in lessons() if each.id == lesson_id)
        tick = " :material/check:" if lesson_id in done else ""
        return f"{lesson.order} · {lesson.title.get(language())}{tick}"

    st.menu_button(
        say("lessons.contents"),
        [each.id for each in lessons()],
        format_func=name,
        key="lesson_contents",
        on_click=pick,
        icon=":material/toc:",
        type="tertiary",
    )


def _arrow(what: str, by: int) -> None:
    every = [each.id for each in lessons()]
    place = every.index(st.session_state[CHOSEN]) + by
    there = 0 <= place < len(every)
    st.button(
        say(f"lessons.{what}"),
        icon=":material/chevron_left:" if by < 0 else ":material/chevron_right:",
        key=f"lesson_arrow_{what}",
        type="tertiary",
        disabled=not there,
        **press(turn, every[place] if there else every[0]),
    )


def neighbours(lesson: Lesson) -> None:
    """Link the previous and the next lesson by title."""
    every = lessons()
    place = every.index(lesson)
    with st.container(horizontal=True, horizontal_alignment="distribute", key="lesson_neighbours"):
        for what, icon, at in (("previous", ":material/arrow_back:", place - 1), ("next", None, place + 1)):
            there = 0 <= at < len(every)
            title = every[at].title.get(language()) if there else ""
            options = (
                {"icon": icon} if icon else {"icon": ":material/arrow_forward:", "icon_position": "right"}
            )
            st.button(
                title or say(f"lessons.{what}.none"),
                key=f"lesson_{what}",
                disabled=not there,
                **press(turn, every[at].id if there else lesson.id),
                help=say(f"lessons.{what}"),
                type="primary" if what == "next" else "secondary",
                **options,
            )


def question(lesson: Lesson, answer: int | None) -> None:
    """Show the question; after the answer, the class's answers."""
    given, tongue = lesson.question, language()
    with st.container(border=True, key="lesson_question"):
        st.markdown(f"**{given.ask.get(tongue)}**")
        if answer is None:
            for place, choice in enumerate(given.choices):
                st.button(
                    choice.get(tongue),
                    key=f"lesson_choice_{place}",
                    width="stretch",
                    **press(_answer, lesson.id, place),
                )
            st.caption(say("lessons.ask"))
            return
        counts = count_answers(the_store(), lesson.id, len(given.choices))
        choices = [choice.get(tongue) for choice in given.choices]
        table = (say("save.answer"), say("save.people")), list(zip(choices, counts, strict=True))
        bars = histogram(choices, counts, given.right, answer)
        title = f"{say('lessons.answers')} · {lesson.title.get(tongue)}"
        draw_html(bars, "lesson_answers", f"lesson-{lesson.id}-answers", title, table)
        st.caption(say("lessons.class", people=sum(counts)))


def why(lesson: Lesson) -> None:
    """Show the explanation of the answer."""
    st.markdown(f"**{say('lessons.why')}**")
    for paragraph in lesson.question.why:
        st.markdown(paragraph.get(language()))


def _answer(lesson_id: str, place: int) -> None:
    record_answer(the_store(), lesson_id, place, visitor())


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


def shown_run(lesson: Lesson, *, revealed: bool) -> Run | None:
    """Return the lesson's run to show: the first until the answer, then the chosen one."""
    if not lesson.runs:
        return None
    names = [shot.name.get(language()) for shot in lesson.runs]
    place = 0
    if revealed and len(names) > 1:
        place = st.segmented_control(
            say("lessons.shots"),
            range(len(names)),
            default=1,
            format_func=names.__getitem__,
            required=True,
            key=f"{SHOT}_{lesson.id}",
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
            if st.button(link.label.get(language()), icon=":material/arrow_outward:", key=f"onward_{place}"):
                go_to(link)
        if run is not None and st.button(
            say("lessons.open_lab"), icon=":material/science:", key="lesson_lab"
        ):
            st.session_state[LOOKED_AT] = run.id
            go_to(NextStep(label=lesson.title, page="lab", query={}), run=run.id)


def go_to(link: NextStep, **more: str) -> None:
    """Open a page with the link's settings, replacing earlier ones."""
    st.session_state.pop(SETTINGS, None)
    if "run" not in more:
        st.session_state.pop(LOOKED_AT, None)
    query = {"lang": language()} | link.query | more
    if link.page == "lab" and not more:
        query |= _filled(link)
    st.switch_page(page_file(link.page), query_params=query)


def _filled(link: NextStep) -> dict[str, str]:
    """Return the complete config of a link, so that nothing is taken from the shown run."""
    config = RunConfig.parse(link.query_values()).model_dump()
    return {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in config.items()
        if value is not None
    }


def for_the_teacher() -> None:
    """Clear the answers for a new class."""
    person = visitor()
    if person.teacher and st.button(
        say("lessons.forget"), icon=":material/restart_alt:", key="lesson_forget"
    ):
        clear_answers(the_store(), [lesson.id for lesson in lessons()], person)
        st.rerun()


def answers_of_visitor() -> dict[str, int]:
    """Return the lessons that the user has answered, and the answers."""
    return answers_of(the_store(), visitor().owner)
