"""A finished run grades other texts, also when those that it learned from are gone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from sparsecore.__main__ import app
from sparsecore.corpora.corpus import GRADES, Corpus
from sparsecore.corpora.generator import generate
from sparsecore.corpora.reading import read_corpus
from sparsecore.corpora.storage import delete, save
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.texts.grading import Grader
from sparsecore.engine.tasks.vulnerabilities import Vulnerabilities
from sparsecore.engine.training.blobs import decode
from sparsecore.runs.insights.grader import CannotGrade, grader
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker

CPU = torch.device("cpu")
TEXT = "攻击者可利用该漏洞执行任意代码"


def trained(store: Store, **parameters: object) -> str:
    """A run of a few steps."""
    config = RunConfig.parse({"task": "vulnerabilities", "max_steps": 4, "certificate": "off"} | parameters)
    run = store.create(config, origin="cli", worker="test")
    Worker(store, store.get(run), "test").work()
    return run


@pytest.fixture
def run(store: Store) -> str:
    made = generate(200, 1, 0.0)
    key = save(Corpus("made", made.texts, made.labels, {}, False), store.home / "corpora")
    found = trained(store, data=key)
    delete(key, store.home / "corpora")
    return found


@pytest.fixture
def table(tmp_path: Path) -> Path:
    made = generate(60, 7, 0.0)
    path = tmp_path / "texts.csv"
    lines = [f'"{text}",{GRADES[label]}' for text, label in zip(made.texts, made.labels, strict=True)]
    path.write_text("\n".join(["description,severity", *lines]), encoding="utf-8")
    return path


def test_the_network_is_the_one_of_the_run(store: Store):
    made = generate(200, 1, 0.0)
    key = save(Corpus("made", made.texts, made.labels, {}, False), store.home / "corpora")
    run = trained(store, data=key)
    found = grader(store, run)
    task = Vulnerabilities(store.get(run).config, CPU, store.home)
    assert found.vocabulary == task.vocabulary
    test = task.parts["test"]
    part = Corpus("", tuple(made.texts[i] for i in test), tuple(made.labels[i] for i in test), {}, False)
    scored = found.evaluate(part)
    assert scored["accuracy"] == store.get(run).result["metrics"]["test"]["accuracy"]
    assert scored["macro_f1"] == pytest.approx(store.get(run).result["metrics"]["test"]["macro_f1"])


def test_a_text_is_graded_after_its_corpus_is_gone(store: Store, run: str):
    found = grader(store, run).predict(TEXT)
    assert found.grade == max(found.probabilities, key=found.probabilities.get)
    assert sum(found.probabilities.values()) == pytest.approx(1.0)
    assert "".join(word for word, _ in found.tokens) == TEXT


def test_the_weight_of_a_word_is_its_gradient_times_its_vector(store: Store, run: str):
    model = grader(store, run)
    found = model.predict(TEXT)
    words = [word for word, _ in found.tokens]
    numbers = torch.tensor([[model.vocabulary.get(word, 1) for word in words]])
    grade = GRADES.index(found.grade)
    vectors = model.model.embedded(numbers).detach()
    little = 1e-3
    for place, (_, weight) in enumerate(found.tokens):
        ends = []
        for sign in (1, -1):
            moved = vectors.clone()
            moved[0, place] *= 1 + sign * little
            with torch.no_grad():
                ends.append(model.model.classify(moved, numbers == 0)[0, grade].item())
        assert weight == pytest.approx((ends[0] - ends[1]) / (2 * little), abs=2e-3)


def test_a_long_text_is_read_as_far_as_the_network_reaches(store: Store, run: str):
    found = grader(store, run).predict(TEXT * 50)
    assert len(found.tokens) == grader(store, run).shape.length


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_a_text_without_words_is_refused(store: Store, run: str, text: str):
    with pytest.raises(ValueError, match="the text has no words"):
        grader(store, run).predict(text)


def test_what_cannot_grade_says_why(store: Store):
    with pytest.raises(CannotGrade, match="there is no run 'x'"):
        grader(store, "x")
    waiting = store.create(RunConfig(task="vulnerabilities"))
    with pytest.raises(CannotGrade, match="has no checkpoint yet"):
        grader(store, waiting)
    sinc = store.create(RunConfig(task="sinc"))
    with pytest.raises(CannotGrade, match="is on sinc; only a run on texts can grade"):
        grader(store, sinc)


def test_a_checkpoint_without_a_vocabulary_is_refused():
    with pytest.raises(ValueError, match="no saved vocabulary"):
        Grader.of(RunConfig(task="vulnerabilities"), {"model.head.bias": np.zeros(4)})


def test_the_checkpoint_is_arrays_and_json_alone(store: Store, run: str):
    arrays, meta = decode(store.checkpoint(run)[1])
    assert arrays["task.vocabulary"].dtype == np.uint8
    json.dumps(meta)


def test_a_text_that_was_typed_is_not_kept(store: Store, run: str):
    before = {path.name for path in (store.home / "cache").iterdir()}
    grader(store, run).predict(TEXT)
    assert {path.name for path in (store.home / "cache").iterdir()} == before


# -- the command line -------------------------------------------------------------------------------------


def test_evaluate_scores_a_file(store: Store, run: str, table: Path):
    done = CliRunner().invoke(app, ["evaluate", run, "--data", str(table), "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found.keys() == {"accuracy", "macro_f1", "rows", "per_class"}
    assert found["rows"] == len(read_corpus(table).texts)
    assert [row["grade"] for row in found["per_class"]] == list(GRADES)
    assert found["per_class"][0].keys() == {"grade", "precision", "recall", "f1", "support"}
    assert sum(row["support"] for row in found["per_class"]) == found["rows"]


def test_evaluate_prints_a_table(store: Store, run: str, table: Path):
    done = CliRunner().invoke(app, ["evaluate", run, "--data", str(table)])
    assert done.exit_code == 0
    assert "macro-F1" in done.stdout
    assert "超高危" in done.stdout


def test_predict_says_grade_chances_and_words(store: Store, run: str):
    done = CliRunner().invoke(app, ["predict", run, TEXT, "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found.keys() == {"grade", "probabilities", "tokens"}
    assert list(found["probabilities"]) == list(GRADES)
    assert found["tokens"][0].keys() == {"token", "weight"}
    piped = CliRunner().invoke(app, ["predict", run, "-", "--json"], input=TEXT)
    assert json.loads(piped.stdout) == found
    assert found["grade"] in CliRunner().invoke(app, ["predict", run, TEXT]).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["predict", "nobody", "text"], 2, "there is no run 'nobody'"),
        (["evaluate", "nobody", "--data", "x.csv"], 2, "there is no run 'nobody'"),
    ],
)
def test_an_unknown_run_is_refused(store: Store, arguments: list[str], code: int, sentence: str):
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert sentence in " ".join(done.stderr.split())


def test_a_file_that_cannot_be_read_is_refused(store: Store, run: str, tmp_path: Path):
    done = CliRunner().invoke(app, ["evaluate", run, "--data", str(tmp_path / "none.csv")])
    assert done.exit_code == 2
    assert "There is no file none.csv" in " ".join(done.stderr.split())
