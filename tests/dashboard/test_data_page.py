"""The Data page asks for what it cannot know, and saves nothing before."""

import io

import openpyxl
import pytest
from streamlit.testing.v1 import AppTest

from sparsecore.corpora.corpus import GRADES
from sparsecore.corpora.generator import BUILT_IN_SEED, generate
from sparsecore.corpora.storage import add, stored_corpora
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import encode
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.store import Store
from tests.dashboard.opening import opened

pytestmark = pytest.mark.usefixtures("served")
TEXTS = [f"第{i}条漏洞的描述，远程攻击者可利用" for i in range(40)]


def looked_at(data: bytes, name: str = "week.csv") -> AppTest:
    """The page after the upload of a file, once it has been read."""
    app = opened("data.py")
    app.file_uploader[0].set_value((name, data, "text/csv")).run()
    return settled(app)


def settled(app: AppTest) -> AppTest:
    app.session_state["incoming"].work.wait(20)
    app.run()
    assert not app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    return app


def scanner(words) -> bytes:
    rows = (f"{text},{words[i % len(words)]}\n" for i, text in enumerate(TEXTS))
    return ("text,severity\n" + "".join(rows)).encode()


@pytest.mark.parametrize(
    "words",
    [
        {"0": "none", "1": "低危", "2": "中危", "3": "高危", "4": "超高危"},
        {"low": None, "high": None, "嚴重": "超高危", "important": "高危"},
    ],
    ids=["numbers", "a vocabulary known in part"],
)
def test_unknown_grades_are_asked_for_in_place(store: Store, words):
    app = looked_at(scanner(list(words)))
    for word, grade in words.items():
        asked = [box for box in app.selectbox if box.label.startswith(f"{word} (")]
        assert len(asked) == (grade is not None)
        if asked:
            assert asked[0].value is None
            assert "Save" not in [button.label for button in app.button]
            asked[0].set_value(grade)
    app = settled(press(app, "Read again with these grades"))
    press(app, "Save")
    if "incoming" in app.session_state:
        settled(app)
    (kept,) = stored_corpora(store.home / "corpora")
    assert kept.inspection.labels["超高危"] == kept.inspection.labels["高危"] - ("high" in words) * 10
    assert kept.inspection.rows == 40 - 8 * ("0" in words)


def test_a_grade_without_a_meaning_is_asked_for_again(store: Store):
    app = looked_at(scanner(["low", "嚴重", "致命"]))
    next(box for box in app.selectbox if box.label.startswith("嚴重 (")).set_value("超高危")
    app = settled(press(app, "Read again with these grades"))
    assert [box.label for box in app.selectbox if "records" in box.label] == ["致命 (13 records)"]


def test_a_column_of_many_values_is_not_mapped_one_by_one(store: Store):
    app = looked_at(scanner([f"word {i}" for i in range(30)] + ["low"] * 30))
    assert [box for box in app.selectbox if "records" in box.label] == []


def test_sheet_and_header_row_of_a_workbook_can_be_chosen(store: Store):
    book = openpyxl.Workbook()
    book.active.title = "first"
    second = book.create_sheet("second")
    for sheet, grades in ((book.active, ("低危", "高危")), (second, ("中危", "超高危"))):
        sheet.append(("text", "severity"))
        for i, text in enumerate(TEXTS):
            sheet.append((text, grades[i % 2]))
    buffer = io.BytesIO()
    book.save(buffer)
    app = looked_at(buffer.getvalue(), "week.xlsx")
    box = next(box for box in app.selectbox if box.label == "Sheet")
    assert box.options == ["first", "second"]
    box.set_value("second")
    app = settled(press(app, "Read again"))
    assert app.session_state["incoming"].work.result().inspection.labels["超高危"] == 20


def test_the_translated_sample_is_the_first_one():
    page = opened("data.py")
    (text,) = generate(1, BUILT_IN_SEED).texts
    assert text.startswith("Quastel无线路由器2.5及之前版本存在代码执行漏洞，源于对脚本检查不足")
    said = "The first one says: “The wireless router Quastel, version 2.5 and earlier, has a code execution"
    assert any(caption.value.startswith(said) for caption in page.caption)


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Your texts **mine** are selected"), ("zh", "已选择文本 **mine**")]
)
def test_the_lab_names_the_texts_that_train_would_use(store: Store, tmp_path, language, words):
    (tmp_path / "week.csv").write_bytes(scanner(["low", "high"]))
    kept = add(tmp_path / "week.csv", "mine", store.home / "corpora")
    lab = opened("_navigation.py", language, task="vulnerabilities", data=kept.id)
    assert any(words in info.value for info in lab.info)


def test_an_example_can_be_inserted_by_those_who_cannot_write_one(store: Store):
    run = store.create(RunConfig(task="vulnerabilities", size="demo"), worker="w")
    sample = [["first text", 0], ["second text", 1]]
    store.write(run, "w", 0, [LogEntry("scene", 0, encode({}, {"sample": sample, "grades": list(GRADES)}))])
    lab = opened("_navigation.py", run=run)
    for text in ("first text", "second text", "first text"):
        lab.button(key="predict_example").click().run()
        assert lab.text_area(key="predict_text").value == text
