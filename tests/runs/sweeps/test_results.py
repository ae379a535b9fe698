"""From cells to curves: which runs count, their means and intervals, and the Pareto front."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sparsecore.engine.cards import lower_is_better
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps.results import (
    KeptLayer,
    by_method,
    interval,
    means,
    pareto_front,
    points,
)
from sparsecore.runs.sweeps.spec import Cell

LAYERS = [
    {"name": "fc1", "shape": [200, 1], "prunable": False, "nonzeros": 200, "density": 1.0},
    {"name": "fc2", "shape": [300, 200], "prunable": True, "nonzeros": 24_000, "density": 0.4},
]


def ended(
    store: Store, reason: str = "max_steps", test: float = 0.08, layers: list = LAYERS, **config
) -> Cell:
    """A cell whose run ended with this test error."""
    settings = RunConfig(**config)
    run = store.create(settings, worker="w")
    result = {
        "metrics": {"train": {"rmse": 0.07}, "test": {"rmse": test, "rmse_clean": 0.01}},
        "layers": layers,
        "steps": 100,
        "seconds": 2.5,
        "nonzeros": 24_000,
        "budget": 24_000,
    }
    store.finish(run, "w", 100, reason, {}, result)
    return Cell(settings, store.get(run))


def test_a_point_is_the_run_with_its_first_metric_and_all_its_weights(store: Store):
    (point,) = points([ended(store, density=0.4, seed=3)])
    assert (point.method, point.density, point.seed, point.metric) == ("layerwise", 0.4, 3, "rmse")
    assert (point.train, point.test, point.seconds, point.collapsed) == (0.07, 0.08, 2.5, False)
    assert (point.kept, point.nonzeros, point.weights) == (24_000, 24_200, 60_200)
    assert point.layers == (KeptLayer("fc1", 200, 200, False), KeptLayer("fc2", 24_000, 60_000, True))
    assert [layer.density for layer in point.layers] == [1.0, 0.4]


def test_a_collapsed_run_counts_and_says_so_a_diverged_stopped_or_missing_one_does_not(store: Store):
    cells = [
        ended(store, reason, seed=place) for place, reason in enumerate(("collapsed", "diverged", "stopped"))
    ]
    cells += [Cell(RunConfig(seed=9), None), ended(store, test=math.nan, seed=8)]
    assert [(point.seed, point.collapsed) for point in points(cells)] == [(0, True)]


def test_a_transformers_block_is_one_layer_and_its_embedding_none(store: Store):
    names = ("embedding", "blocks.0.attention.q", "blocks.0.feed_forward.0", "blocks.1.attention.q", "out")
    layers = [
        {"name": name, "shape": [10, 10], "prunable": name != "out", "nonzeros": 20 * place, "density": 0}
        for place, name in enumerate(names)
    ]
    (point,) = points([ended(store, layers=layers)])
    assert [(layer.name, layer.nonzeros, layer.weights) for layer in point.layers] == [
        ("blocks.0", 60, 200),
        ("blocks.1", 60, 100),
        ("out", 80, 100),
    ]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12))
def test_the_interval_is_students(values):
    mean, low, high = interval(values)
    expected = sum(values) / len(values)
    assert mean == pytest.approx(expected, abs=1e-6)
    error = stats.sem(values)
    if error == 0:
        assert low == high == mean
    else:
        bounds = stats.t.interval(0.95, len(values) - 1, loc=expected, scale=error)
        assert (low, high) == pytest.approx(bounds, rel=1e-6, abs=1e-6)


def test_the_interval_of_three_by_hand():
    # s = 0.01, t(0.975, 2) = 4.302653: half the width is 4.302653 · 0.01 / √3.
    assert interval([0.07, 0.08, 0.09]) == pytest.approx((0.08, 0.08 - 0.0248413, 0.08 + 0.0248413), abs=1e-6)


def test_means_are_by_density_and_a_single_run_has_no_interval(store: Store):
    cells = [ended(store, density=0.4, seed=seed, test=test) for seed, test in enumerate((0.07, 0.09))]
    cells += [ended(store, density=0.1, test=0.3)]
    low, high = means(points(cells), lambda point: point.test)
    assert (low.density, low.mean, low.low, low.high, low.n) == (0.1, 0.3, None, None, 1)
    assert (high.density, high.n) == (0.4, 2)
    assert high.mean == pytest.approx(0.08)
    assert high.low < 0.07 < 0.09 < high.high


def test_methods_keep_their_order_after_dense(store: Store):
    cells = [ended(store, method="global"), ended(store), ended(store, method="dense", density=1.0)]
    assert list(by_method(points(cells))) == ["dense", "global", "layerwise"]


def test_which_way_a_metric_is_better():
    assert lower_is_better("rmse")
    assert not lower_is_better("accuracy")


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), max_size=20), st.booleans())
def test_nothing_on_the_front_is_beaten_and_everything_else_is(pairs, lower):
    found = pareto_front(pairs, lower=lower)
    sign = 1 if lower else -1

    def beaten(one, other):
        return other[0] <= one[0] and sign * other[1] <= sign * one[1] and other != one

    for pair in pairs:
        worse = any(beaten(pair, other) for other in pairs)
        assert worse == (pair not in [pairs[i] for i in found])
    assert [pairs[i][0] for i in found] == sorted({pairs[i][0] for i in found})
