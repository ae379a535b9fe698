"""Predictions come from a process of their own: what it is asked, and what is made of its answer."""

import json
import subprocess
from pathlib import Path

import pytest

from sparsecore.dashboard.lab import prediction
from sparsecore.dashboard.lab.prediction import Prediction, Refused, predict

ANSWER = {
    "grade": "高危",
    "probabilities": {"低危": 0.25, "高危": 0.75},
    "tokens": [{"token": "注入", "weight": 0.5}, {"token": "。", "weight": -0.1}],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict]]:
    """What is run instead of the command: it answers, and notes what it was asked."""
    calls = []

    def run(command, **options):
        calls.append((command, options))
        return subprocess.CompletedProcess(command, 0, json.dumps(ANSWER, ensure_ascii=False), "")

    monkeypatch.setattr(prediction.subprocess, "run", run)
    return calls


def test_the_answer_is_read(asked, tmp_path: Path):
    found = predict(tmp_path, "abc", "SQL 注入。")
    assert found == Prediction("高危", {"低危": 0.25, "高危": 0.75}, [("注入", 0.5), ("。", -0.1)])
    command, options = asked[0]
    assert command[-4:] == ["predict", "abc", "-", "--json"]
    assert options["input"] == "SQL 注入。"
    assert options["env"]["SPARSECORE_HOME"] == str(tmp_path)
    assert options["timeout"] > 0


def test_a_text_is_never_a_part_of_the_command(asked, tmp_path: Path):
    predict(tmp_path, "abc", "--help\x00\n; rm -rf /")
    command, options = asked[0]
    assert not any("--help" in part for part in command)
    assert not options.get("shell")


def test_the_last_line_of_a_refusal_is_its_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    refused = subprocess.CompletedProcess([], 1, "", "loading\nError: Run abc has no checkpoint yet.\n")
    monkeypatch.setattr(prediction.subprocess, "run", lambda *_, **__: refused)
    with pytest.raises(Refused, match=r"^Run abc has no checkpoint yet\.$"):
        predict(tmp_path, "abc", "x")


def test_an_answer_out_of_the_contract_is_an_error():
    with pytest.raises(KeyError):
        Prediction.of({"grade": "高危"})
