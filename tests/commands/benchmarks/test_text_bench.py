"""The bench of texts: a linear model and networks on one split, with their spread."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sparsecore.__main__ import app
from sparsecore.commands.benchmarks.text import ROWS, THESIS, text
from sparsecore.corpora.corpus import Corpus
from sparsecore.corpora.generator import generate

FAST = {"size": "demo", "max_steps": 3}


@pytest.fixture(scope="module")
def few() -> Corpus:
    made = generate(200, 1, 0.0)
    return Corpus("made", made.texts, made.labels, {}, False)


def test_rows_have_means_and_spreads_over_seeds(few: Corpus, tmp_path: Path):
    told = []
    found = text(
        few, tmp_path, (0, 1), ("baseline", "layerwise-0.02"), lambda *what: told.append(what), **FAST
    )
    assert (found["data"], found["seeds"]) == ("made", "0 1")
    baseline, sparse = found["rows"]
    assert 0.3 <= baseline["accuracy"] <= 1
    assert baseline["accuracy_sd"] >= 0
    assert baseline["thesis_accuracy"] is None
    assert sparse["thesis_accuracy"] == 0.6270
    assert sparse["ended"] in ("max_steps", "collapsed")
    assert ("layerwise-0.02, seed 1", 2, 3) in told


@pytest.mark.slow
def test_workers_find_what_one_process_finds(few: Corpus, tmp_path: Path):
    told = []
    rows = ("baseline", "global-0.1")
    alone = text(few, tmp_path, (0, 1), rows, **FAST)
    together = text(few, tmp_path, (0, 1), rows, lambda *what: told.append(what), 2, **FAST)
    for one, other in zip(alone["rows"], together["rows"], strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}
    assert ("global-0.1, seed 1", 0, 3) in told
    assert len(together["rows"][1]["head_nonzeros"]) == 2


def test_one_seed_has_no_spread(few: Corpus, tmp_path: Path):
    (row,) = text(few, tmp_path, (0,), ("baseline",), **FAST)["rows"]
    assert row["accuracy_sd"] is row["macro_f1_sd"] is None


def test_an_unknown_row_is_refused(few: Corpus, tmp_path: Path):
    with pytest.raises(ValueError, match=r"rows must be among baseline, dense.*got \['best'\]"):
        text(few, tmp_path, (0,), ("best",), **FAST)


def test_every_row_of_the_thesis_is_there():
    assert THESIS.keys() <= ROWS.keys()
    assert ROWS["global-0.05-alive"]["keep_alive"] == 1


def test_the_command_prints_json_and_refuses_in_words(home: Path):
    done = CliRunner().invoke(
        app, ["bench", "text", "--rows", "baseline", "--seeds", "0", "--size", "demo", "--json"]
    )
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["rows"][0]["row"] == "baseline"
    for arguments in (["--rows", "best"], ["--seeds", "x"]):
        done = CliRunner().invoke(app, ["bench", "text", *arguments])
        assert (done.exit_code, done.stdout) == (2, "")
