"""Batches of one length, the plan of the learning rate, and scores."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.texts.scores import confuse, per_class, scores, weights_of
from sparsecore.engine.tasks.texts.shapes import Shape, pace
from sparsecore.engine.tasks.texts.splits import by_length, waste

LAPTOP = RunConfig(task="vulnerabilities", size="laptop")
PLAN = replace(Shape.of(LAPTOP), epochs=4, warm_up=1.0)


@given(st.integers(1, 400), st.integers(1, 70), st.integers(0, 9))
def test_every_row_is_in_one_batch_and_there_are_as_many_as_expected(count, batch, seed):
    rows = np.arange(100, 100 + count)
    lengths = np.random.default_rng(1).integers(0, 130, 600)
    batches = by_length(rows, lengths, batch, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == rows.tolist()
    assert len(batches) == -(-count // batch)


def test_batches_of_one_length_waste_little():
    lengths = np.clip(np.random.default_rng(0).normal(65, 22, 9_000), 5, 128).astype(int)
    rows = np.arange(9_000)
    grouped = by_length(rows, lengths, 64, np.random.default_rng(0))
    at_random = np.array_split(np.random.default_rng(0).permutation(rows), len(grouped))
    assert waste(grouped, lengths) <= 1.05
    assert waste(at_random, lengths) > 1.5


def test_the_order_of_lengths_is_random():
    lengths = np.arange(640)
    means = [lengths[rows].mean() for rows in by_length(lengths, lengths, 64, np.random.default_rng(0))]
    assert means != sorted(means)


def test_the_rate_rises_for_an_epoch_and_falls_to_0():
    rates = [pace(PLAN, LAPTOP, 100, step) for step in range(401)]
    assert rates[0] == pytest.approx(0.01)
    assert 80 <= int(np.argmax(rates)) <= 100
    assert all(a >= b for a, b in pairwise(rates[100:]))
    assert rates[200] == pytest.approx(0.5)
    assert rates[400] == 0


def test_fewer_steps_are_the_same_plan_faster():
    short = LAPTOP.model_copy(update={"max_steps": 40})
    assert pace(PLAN, short, 100, 20) == pytest.approx(pace(PLAN, LAPTOP, 100, 200))
    assert pace(PLAN, short, 100, 40) == 0


def test_a_size_without_a_plan_keeps_its_rate():
    demo = RunConfig(task="vulnerabilities")
    assert {pace(Shape.of(demo), demo, 10, step) for step in (0, 5, 10_000)} == {1.0}


def test_scores_of_a_confusion_matrix_by_hand():
    confusion = confuse(np.array([1, 1, 1, 2]), np.array([1, 1, 2, 2]))
    assert confusion[1].tolist() == [0, 2, 1, 0]
    found = scores(confusion)
    assert found == {"accuracy": 0.75, "macro_f1": pytest.approx((0.8 + 2 / 3) / 2)}
    low, middle, high, _ = per_class(confusion)
    assert low == {"grade": "低危", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert middle == {
        "grade": "中危",
        "precision": 1.0,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(0.8),
        "support": 3,
    }
    assert (high["precision"], high["recall"]) == (0.5, 1.0)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_weights_of_grades(power):
    labels = np.repeat([0, 1, 2, 3], [10, 40, 30, 20])
    found = weights_of(labels, power)
    assert found[labels].mean() == pytest.approx(1.0)
    assert found[0] / found[1] == pytest.approx(4**power)
