"""The Lessons and Theory pages: the data files, what they state, the pages without a browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from sparsecore.dashboard.lessons import computed, figures
from sparsecore.engine.analysis.least_squares import ends, path
from sparsecore.engine.config import RunConfig
from sparsecore.engine.deploy.sparse_formats import stored_bytes
from sparsecore.engine.tasks.points import best_accuracy, constant_rmse
from sparsecore.runs.store.run import LESSON
from sparsecore.runs.store.store import Store
from sparsecore.teaching.classroom import count_answers
from sparsecore.teaching.lessons import FOLDER, BilingualText, LessonError, lessons, read_lesson, statements
from sparsecore.words import LANGUAGES, speaker, words
from tests.dashboard.opening import opened

PAGES = Path(__file__).parents[2] / "pages"
LESSONS = {lesson.id: lesson for lesson in lessons()}


def texts(value: object) -> Iterator[BilingualText]:
    """Every text of a lesson or statement, however deep."""
    if isinstance(value, BilingualText):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from texts(each)
    elif hasattr(value, "model_fields_set"):
        for name in type(value).model_fields:
            yield from texts(getattr(value, name))


def test_there_are_at_least_twelve_lessons_numbered_without_a_gap():
    assert len(lessons()) >= 12
    assert [lesson.order for lesson in lessons()] == list(range(1, len(lessons()) + 1))


def test_every_lesson_is_complete_in_both_languages():
    for lesson in lessons():
        for text in texts(lesson):
            assert formulas(text.en) == formulas(text.zh), text
            assert not re.search(r"[一-鿿]", text.en), text
        longer = [text for text in texts(lesson) if len(text.en) > 60]
        assert longer, lesson.id
        assert all(re.search(r"[一-鿿]", text.zh) for text in longer), lesson.id


def formulas(text: str) -> list[str]:
    """The formulas of a text, in any order: a sentence may turn round in the other language."""
    return sorted(re.findall(r"\$([^$]+)\$", text))


def test_presets_and_links_are_configs():
    for lesson in lessons():
        for shot in lesson.runs:
            assert isinstance(shot.config, RunConfig)
            assert shot.config.size == "demo"  # seconds, while a class waits
        for link in lesson.onward:
            if link.page == "lab":
                assert isinstance(RunConfig.parse(link.query_values()), RunConfig)


def test_every_lesson_shows_a_figure_that_is_drawn_or_a_run():
    for lesson in lessons():
        assert lesson.runs or lesson.figure in figures.FIGURES


BROKEN = {
    "right": (lambda d: d["question"].update(right=9), "right is 9, but there are 3 choices"),
    "preset": (lambda d: d["runs"][0]["preset"].update(density=2), "density must be"),
    "language": (lambda d: d["title"].pop("zh"), "title.zh"),
    "nothing shown": (lambda d: d.pop("runs"), "shows runs, a figure, or both"),
    "unknown field": (lambda d: d.update(colour="red"), "colour"),
    "page": (lambda d: d["onward"][0].update(page="nowhere"), "there is no page nowhere"),
    "link": (lambda d: d["onward"][0]["query"].update(density="7"), "density must be"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_is_no_lesson_is_refused_and_named(what: str, tmp_path: Path):
    change, told = BROKEN[what]
    data = json.loads((FOLDER / "04-sinc.json").read_text(encoding="utf-8"))
    change(data)
    file = tmp_path / "broken.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(LessonError, match=f"broken.json is not a valid lesson.*{re.escape(told)}"):
        read_lesson(file)


def test_two_lessons_of_one_name_are_refused(tmp_path: Path):
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes((FOLDER / "04-sinc.json").read_bytes())
    with pytest.raises(LessonError, match="two lessons have the id sinc"):
        lessons(tmp_path)


# -- what the lessons state ---------------------------------------------------------------------------------


def test_lesson_1_ends_on_the_worse_axis():
    given, found = computed.problem(*figures.TWO_ENDS), computed.points(figures.TWO_ENDS, 1)
    end = path(given, np.array(figures.START), 1, figures.SAFE)[-1]
    np.testing.assert_allclose(end, found.w[1], atol=1e-3)
    assert found.w[1][0] == 0  # the vertical axis
    assert found.value[1] > found.value[0]
    assert LESSONS["hard-threshold"].question.right == 1


def test_lesson_2_counts_seven_of_1225():
    found = computed.points(figures.FIFTY, 2)
    assert (len(found.value), found.basic_feasible.sum(), found.stationary(1.05).sum()) == (1225, 1225, 7)


def test_lesson_3_a_long_step_arrives_sooner_a_longer_one_flies_off_a_short_one_rests_higher():
    given = computed.problem(*figures.FIVE_OF_FIFTY)
    zero = np.zeros((1, 50))
    values = {ratio: given.value(path(given, zero[0], 5, ratio, 200)) for ratio in (0.25, 0.45, 1.05)}
    arrived = [int(np.argmax(values[ratio] < 1.01 * 0.434)) for ratio in (0.45, 1.05)]
    assert arrived == [6, 19]  # a third of the steps
    assert values[0.25][-1] > 1e6
    short = ends(given, zero, 5, 3.0)
    assert short.still.all()
    assert given.value(short.w)[0] == pytest.approx(0.636, abs=5e-4)
    assert values[1.05][-1] == pytest.approx(0.434, abs=5e-4)


def test_the_numbers_of_sinc_noise_and_storage():
    assert constant_rmse(0.005) == pytest.approx(0.36, abs=0.005)
    assert best_accuracy(1.0) == pytest.approx(0.884, abs=5e-4)
    assert stored_bytes(300, 200, 12_000) == {"dense": 240_000, "csr": 97_204, "bitmask": 55_500}


def test_lesson_12_errs_least_at_the_four_that_matter():
    found = computed.subsets(20, 1.0, 0)
    assert found.sizes[found.test.argmin()] == 4


# -- the pages ----------------------------------------------------------------------------------------------


def address(app: AppTest) -> str:
    """The lesson that the address names; one given in the link is a list there."""
    value = app.query_params["lesson"]
    return value if isinstance(value, str) else value[0]


def markup(app: AppTest) -> str:
    return "".join(element.proto.body for element in app.get("html"))


@pytest.mark.parametrize(
    ("lesson", "lang"),
    [(lesson, list(LANGUAGES)[lesson.order % len(LANGUAGES)]) for lesson in lessons()],
    ids=lambda value: getattr(value, "id", value),
)
def test_every_lesson_opens_answers_and_explains(served: Store, lesson, lang: str):
    app = opened("lessons.py", lang, lesson=lesson.id)
    assert lesson.title.get(lang) in app.subheader[0].value
    assert "sp-answers" not in markup(app)
    app.button(key=f"lesson_choice_{lesson.question.right}").click().run()
    assert not app.exception, app.exception
    assert speaker(lang)("lessons.right") in markup(app)
    assert lesson.question.why[0].get(lang) in [element.value for element in app.markdown]
    assert sum(count_answers(served, lesson.id, len(lesson.question.choices))) == 1


def test_a_person_answers_once_and_the_class_is_counted(served: Store):
    for choice in (2, 2, 0):
        opened("lessons.py", lesson="collapse").button(key=f"lesson_choice_{choice}").click().run()
    assert count_answers(served, "collapse", 4) == [1, 0, 2, 0]


def test_before_the_answer_only_the_first_run_of_a_lesson_is_trained(served: Store):
    app = opened("lessons.py", lesson="collapse")
    assert [run.config for run in served.list(origin=LESSON)] == [LESSONS["collapse"].runs[0].config]
    app.button(key="lesson_choice_0").click().run()
    assert {run.config.digest() for run in served.list(origin=LESSON)} == {
        shot.config.digest() for shot in LESSONS["collapse"].runs[:2]
    }


def test_next_and_previous_turn_the_address(served: Store):
    app = opened("lessons.py")
    assert address(app) == lessons()[0].id
    app.button(key="lesson_next").click().run()
    assert address(app) == lessons()[1].id
    app.button(key="lesson_previous").click().run()
    assert address(app) == lessons()[0].id
    assert app.button(key="lesson_previous").disabled


def test_an_unknown_lesson_of_a_link_opens_the_first(served: Store):
    assert lessons()[0].title.en in opened("lessons.py", lesson="<b>none</b>").subheader[0].value


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_theory_page_states_each_condition_and_the_three_misprints(served: Store, lang: str):
    app = opened("theory.py", lang)
    said = [element.value for element in app.markdown]
    assert all(statement.says.get(lang) in said for statement in statements())
    assert len(app.warning) == 3
    for misprint in (r"\nabla f(w^*)<0", r"\tfrac2L", "w_1"):
        assert any(misprint in element.value for element in app.warning)


def test_statements_are_complete_in_both_languages():
    for text in texts(statements()):
        assert not re.search(r"[一-鿿]", text.en)
        assert re.search(r"[一-鿿]", text.zh)


@pytest.mark.parametrize(("n", "s"), [(2, None), (3, 1), (3, 2), (50, 2), (50, 8)])
def test_the_playground_draws_each_size(served: Store, n: int, s: int | None):
    app = opened("theory.py", n=str(n))
    if s is not None:
        app.slider(key=f"theory_s_{n}").set_value(s).run()
    app.slider(key="theory_lipschitz").set_value(0.3).run()
    assert not app.exception, app.exception
    assert app.get("plotly_chart") or app.warning


def test_every_word_of_the_figures_exists():
    en = words("en")
    for name in ("plane", "supports", "teaching"):
        source = (PAGES.parent / "sparsecore" / "figures" / f"{name}.py").read_text(encoding="utf-8")
        assert set(re.findall(r'\bsay\("([\w.]+)"', source)) <= en.keys()
