"""The answer of `python -m sparsecore predict` becomes a prediction."""

import pytest

from sparsecore.dashboard.lab import prediction
from sparsecore.dashboard.lab.prediction import predict
from sparsecore.runs.store.store import Store

ANSWER = {
    "grade": "高危",
    "probabilities": {"低危": 0.25, "高危": 0.75},
    "tokens": [{"token": "注入", "weight": 0.5}, {"token": "。", "weight": -0.1}],
}


@pytest.mark.parametrize("text", ["SQL 注入。", "--help\x00\n; rm -rf /"])
def test_the_answer_is_read_and_the_text_is_never_a_part_of_the_command(
    text: str, store: Store, monkeypatch: pytest.MonkeyPatch
):
    calls = []

    def run_command(*arguments, **options):
        calls.append((arguments, options))
        return ANSWER

    monkeypatch.setattr(prediction, "run_command", run_command)
    assert predict(store, "abc", text) == ANSWER
    ((arguments, options),) = calls
    assert arguments == ("predict", "abc", "-")
    assert options["text"] == text
    assert options["store"] is store
