"""Which runs make a pair, and what to train where there is none."""

import pytest

from sparsecore.engine.config import RunConfig
from sparsecore.runs.insights.pairs import closest_run, missing_configs, newest_pair
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store


@pytest.fixture
def begun(store: Store):
    """Makes a run that has trained, and gives it."""

    def make(**settings) -> Run:
        run = store.create(RunConfig(**settings), worker="w")
        store.write(run, "w", 20, [])
        return store.get(run)

    return make


def test_the_partner_differs_in_the_fewest_settings(store: Store, begun):
    begun(task="spirals", seed=1)
    method = begun(method="global", seed=1)
    begun(method="global", seed=2, density=0.1)
    run = begun(seed=1)
    assert closest_run(run, store.list()) == method


def test_of_equals_the_newest_is_the_partner(store: Store, begun):
    begun(density=0.1)
    newer = begun(density=0.2)
    assert closest_run(begun(), store.list()) == newer


def test_another_size_and_the_same_settings_come_last(store: Store, begun):
    same, paper = begun(), begun(size="paper")
    run = begun()
    assert closest_run(run, store.list()) == same
    far = begun(method="global", density=0.1, seed=7)
    assert closest_run(run, store.list()) == far
    assert closest_run(run, [paper, same]) == same


def test_a_run_of_another_task_or_without_a_step_is_no_partner(store: Store, begun):
    begun(task="spirals")
    stopped = store.create(RunConfig(method="global"))
    store.command(stopped, "stop")
    assert closest_run(begun(), store.list()) is None


def test_a_queued_run_is_a_partner(store: Store, begun):
    queued = store.create(RunConfig(method="global"))
    assert closest_run(begun(), store.list()).id == queued


def test_the_newest_pair_is_of_one_size_with_other_settings_and_the_older_first(store: Store, begun):
    assert newest_pair([]) is None
    older, newer = begun(method="global"), begun()
    begun(task="spirals")
    assert newest_pair(store.list()) == (older, newer)
    assert newest_pair([newer]) is None


def test_two_that_only_wait_are_a_pair_where_no_other_is(store: Store, begun):
    waiting = {store.create(RunConfig(method=method)) for method in ("global", "layerwise")}
    assert {run.id for run in newest_pair(store.list())} == waiting
    older, newer = begun(method="global"), begun()
    store.create(RunConfig(method="global", density=0.1))
    assert newest_pair(store.list()) == (older, newer)


def test_the_same_run_twice_is_no_pair(store: Store, begun):
    begun(), begun()
    assert newest_pair(store.list()) is None


def test_what_lacks_is_the_other_method_with_the_same_settings(begun):
    assert [config.method for config in missing_configs(None)] == ["global", "layerwise"]
    (config,) = missing_configs(begun(method="global", density=0.1, seed=3))
    assert config == RunConfig(method="layerwise", density=0.1, seed=3)
    (config,) = missing_configs(begun(method="dense", task="spirals"))
    assert config == RunConfig(method="layerwise", task="spirals")


def test_densities_of_layers_have_no_place_under_one_budget_for_all(begun):
    (config,) = missing_configs(begun(layer_densities="fc1=0.5", seed=2))
    assert config == RunConfig(method="global", seed=2)
