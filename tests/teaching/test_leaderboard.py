"""The leaderboard holds only judged runs, one entry per person."""

import pytest

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.catalogue import remove, restore
from sparsecore.runs.store.people import NotYours, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.worker import Worker
from sparsecore.teaching.challenge import NotJudged
from sparsecore.teaching.leaderboard import enter, judge_run, leaderboard, withdraw

ANN, BOB = Person("ann"), Person("bob")
TEACHER = Person("tea", teacher=True)
ENOUGH = 1_500  # steps, after which each of the three is right 998 times in 1,000


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with two good runs of Ann, a larger good run of Bob, and a short run of Bob."""
    store = Store(tmp_path_factory.mktemp("home"))
    grid = [(ANN, "layerwise", 0.4, ENOUGH), (ANN, "layerwise", 0.8, ENOUGH), (BOB, "dense", 1.0, ENOUGH)]
    for person, method, density, steps in [*grid, (BOB, "global", 0.3, 5)]:
        given = {"task": "spirals", "method": method, "density": density, "max_steps": steps}
        config = RunConfig.parse(given)
        run = store.create(config, by=person)
        assert store.claim(run, "w")
        Worker(store, store.get(run), "w").work()
    yield store
    store.close()


@pytest.fixture
def runs(trained: Store) -> list[str]:
    """Return the runs in this order and clear the leaderboard."""
    for entry in leaderboard(trained, "spirals"):
        withdraw(trained, entry.run.id)
    while found := leaderboard(trained, "spirals"):
        withdraw(trained, found[0].run.id)
    return [run.id for run in reversed(trained.list())]


def test_everybodys_best_entry_is_ranked_by_its_weights(trained: Store, runs: list[str]):
    for run, person in ((runs[2], BOB), (runs[1], ANN), (runs[0], ANN)):
        assert enter(trained, run, "me", person).passes
    found = leaderboard(trained, "spirals")
    assert [(entry.rank, entry.run.id) for entry in found] == [(1, runs[0]), (2, runs[2])]
    assert [entry.nonzeros for entry in found] == [166, 320]
    assert leaderboard(trained, "sinc") == []


def test_control_characters_are_removed_from_a_name(trained: Store, runs: list[str]):
    enter(trained, runs[0], "  \0\u202eAnn\x1b[31m ", ANN)
    assert leaderboard(trained, "spirals")[0].name == "Ann[31m"
    enter(trained, runs[0], "\u202e\x1b ", ANN)
    assert leaderboard(trained, "spirals")[0].name == runs[0]


def test_a_run_that_does_not_pass_is_not_entered(trained: Store, runs: list[str]):
    assert not enter(trained, runs[3], "me", BOB).passes
    assert leaderboard(trained, "spirals") == []


def test_only_the_owner_or_teacher_withdraws_a_run(trained: Store, runs: list[str]):
    with pytest.raises(NotYours):
        enter(trained, runs[0], "me", BOB)
    enter(trained, runs[0], "Ann", ANN)
    with pytest.raises(NotYours):
        withdraw(trained, runs[0], BOB)
    withdraw(trained, runs[0], TEACHER)
    assert leaderboard(trained, "spirals") == []


def test_a_deleted_run_leaves_the_board_until_restored(trained: Store, runs: list[str]):
    enter(trained, runs[0], "Ann", ANN)
    remove(trained, runs[0], ANN)
    assert leaderboard(trained, "spirals") == []
    restore(trained, runs[0], ANN)
    assert [entry.run.id for entry in leaderboard(trained, "spirals")] == [runs[0]]


def test_entering_again_updates_the_name(trained: Store, runs: list[str]):
    enter(trained, runs[0], "first", ANN)
    enter(trained, runs[0], "  " + "x" * 99, ANN)
    assert [entry.name for entry in leaderboard(trained, "spirals")] == ["x" * 40]
    enter(trained, runs[0], "   ", ANN)
    assert [entry.name for entry in leaderboard(trained, "spirals")] == [runs[0]]


def test_a_runs_own_result_is_not_trusted(trained: Store, runs: list[str]):
    short = trained.get(runs[3])
    lie = short.result | {"metrics": {"test": {"accuracy": 1.0}}, "nonzeros": 1}
    lying = trained.create(short.config, worker="w", by=BOB)
    step, weights = trained.checkpoint(runs[3])
    trained.write(lying, "w", step, [], weights)
    trained.finish(lying, "w", short.step, "max_steps", {}, lie)
    assert not enter(trained, lying, "me", BOB).passes
    trained.delete(lying)


def test_only_finished_runs_on_challenge_tasks_are_judged(trained: Store, runs: list[str]):
    waiting = trained.create(RunConfig(task="spirals"), by=ANN)
    with pytest.raises(NotJudged, match="has ended"):
        judge_run(trained, trained.get(waiting))
    texts = trained.create(RunConfig.parse({"task": "vulnerabilities"}), by=ANN)
    with pytest.raises(NotJudged, match="no challenge"):
        judge_run(trained, trained.get(texts))
    with pytest.raises(NotJudged, match="no run nothing"):
        enter(trained, "nothing", "me", ANN)
    for run in (waiting, texts):
        trained.delete(run)
