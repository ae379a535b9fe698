"""Training at the laptop's size: the plan ends it, a checkpoint goes on bit for bit, a rate may change."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sparsecore.corpora.corpus import Corpus
from sparsecore.corpora.generator import generate
from sparsecore.corpora.storage import save
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.texts.shapes import Shape
from sparsecore.engine.training.loop import train
from sparsecore.engine.training.trainer import Training

TINY = Shape(
    texts=None,
    generated=300,
    vocabulary=500,
    min_count=2,
    length=40,
    width=16,
    hidden=32,
    blocks=2,
    batch=32,
    evaluated=100,
    pool="both",
    scaled=True,
    even=True,
    epochs=3,
    warm_up=1.0,
)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Shape, "of", lambda config: TINY)


@pytest.fixture(scope="module")
def data(cached: Path) -> str:
    made = generate(300, 1, 0.0)
    return save(Corpus("made", made.texts, made.labels, {}, False), cached / "corpora")


def config(data: str, **parameters: object) -> RunConfig:
    given = {"task": "vulnerabilities", "size": "laptop", "data": data, "density": 0.2, "dropout": 0.2}
    return RunConfig.parse(given | parameters)


def test_the_plan_ends_the_run(cached: Path, data: str):
    events = list(train(config(data), cached))
    ended = events[-1]
    assert (ended.reason, ended.step) == ("max_steps", 3 * events[0].meta["steps_an_epoch"])
    assert events[0].meta["max_steps"] == ended.step
    assert ended.result["nonzeros"] == ended.result["budget"]
    assert ended.result["weights"]["head"] == 4 * 2 * 16


def test_a_checkpoint_goes_on_bit_for_bit_with_dropout_and_a_plan(cached: Path, data: str):
    whole, first = Training(config(data), cached), Training(config(data), cached)
    for _ in range(9):
        whole.advance()
    for _ in range(5):
        first.advance()
    saved = first.checkpoint()
    torch.manual_seed(99)
    second = Training(config(data), cached)
    second.restore(saved)
    for _ in range(4):
        second.advance()
    for a, b in zip(whole.before.parameters, second.before.parameters, strict=True):
        assert torch.equal(a, b)
    assert whole.loss == second.loss


def test_a_changed_rate_scales_the_plan(cached: Path, data: str):
    training = Training(config(data), cached)
    for _ in range(3):
        training.advance()
    before = training.optimizer.param_groups[0]["lr"]
    training.change({"learning_rate": 5e-3})
    training.step -= 1
    training.advance()
    assert training.optimizer.param_groups[0]["lr"] == pytest.approx(5 * before)


def test_a_checkpoint_holds_the_vocabulary(cached: Path, data: str):
    training = Training(config(data), cached)
    kept = training.checkpoint().arrays["task.vocabulary"]
    assert kept.dtype == np.uint8
    assert bytes(kept).decode().split("\n") == list(training.task.vocabulary)
