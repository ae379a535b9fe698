"""Whose a run is: what the store refuses to everybody else, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.people import (
    HOST,
    NotYours,
    Person,
    QueueFull,
    is_only_owner,
)
from sparsecore.runs.store.run import WELCOME
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import SweepSpec

ANN, BOB, TEACHER = Person("ann"), Person("bob"), Person("tea", teacher=True)
SPEC = SweepSpec(task="sinc", methods=("global",), densities=(0.4, 0.1), seeds=(0,))


@pytest.fixture
def store(either_database: str, home: Path) -> Iterator[Store]:
    opened = Store(home)
    yield opened
    opened.close()


def ask(store: Store, run: str, by: Person, kind: str) -> None:
    match kind:
        case "resume":
            store.resume(run, by=by)
        case "delete":
            store.delete(run, by=by)
        case "change":
            store.command(run, "change", {"density": 0.2}, by=by)
        case _:
            store.command(run, kind, by=by)


KINDS = ("pause", "step", "stop", "change", "release", "resume", "delete")


# -- runs -------------------------------------------------------------------------------------------------


@pytest.mark.dialect
def test_nobody_commands_anothers_run(store: Store):
    run = store.create(RunConfig(), by=ANN)
    store.claim(run, "w")
    for kind in KINDS:
        with pytest.raises(NotYours, match=f"run {run} belongs to another user"):
            ask(store, run, BOB, kind)
    assert store.take_commands(run) == []
    assert (store.get(run).state, store.get(run).owner) == ("running", "ann")


@pytest.mark.parametrize("person", [ANN, TEACHER, HOST])
def test_the_owner_the_teacher_and_the_command_line_may_command_a_run(store: Store, person: Person):
    for kind in KINDS:
        run = store.create(RunConfig(), by=ANN)
        store.claim(run, "w")
        ask(store, run, person, kind)
        assert (store.get(run) is None) == (kind == "delete")
        expected = [] if kind in ("resume", "delete") else [kind]
        assert [taken for taken, _ in store.take_commands(run)] == expected


def test_a_waiting_run_is_not_stopped_by_another(store: Store):
    run = store.create(RunConfig(), by=ANN)
    with pytest.raises(NotYours):
        store.command(run, "stop", by=BOB)
    assert store.get(run).state == "queued"


def test_a_run_of_the_command_line_is_the_teachers_and_his_who_is_alone(store: Store):
    run = store.create(RunConfig(), origin="cli", worker="cli:1")
    assert store.get(run).owner is None
    with pytest.raises(NotYours):
        store.command(run, "pause", by=ANN)
    store.command(run, "pause", by=TEACHER)
    store.command(run, "stop", by=Person("ann", alone=True))
    assert [kind for kind, _ in store.take_commands(run)] == ["pause", "stop"]


def test_the_run_that_greets_everybody_is_not_even_his_who_is_alone(store: Store):
    run = store.create(RunConfig(), origin=WELCOME)
    with pytest.raises(NotYours):
        store.command(run, "stop", by=Person("ann", alone=True))


@pytest.mark.dialect
def test_a_server_has_one_owner_until_another_begins_something(store: Store):
    def only(owner: str) -> bool:
        with store.engine.connect() as connection:
            return is_only_owner(connection, owner)

    store.create(RunConfig(), origin="cli")
    assert only("ann")
    store.create(RunConfig(), by=ANN)
    assert (only("ann"), only("bob")) == (True, False)
    stored.begin(store, SPEC, by=BOB)
    assert not only("ann")


# -- how many ---------------------------------------------------------------------------------------------


@pytest.mark.dialect
def test_a_person_has_ten_runs_waiting_and_no_more(store: Store, monkeypatch: pytest.MonkeyPatch):
    begun = [store.create(RunConfig(seed=seed), by=ANN) for seed in range(10)]
    with pytest.raises(QueueFull, match="already have 10 queued runs"):
        store.create(RunConfig(), by=ANN)
    store.create(RunConfig(), by=BOB)
    store.create(RunConfig())
    store.claim(begun[0], "w")  # one begins: there is room again
    store.create(RunConfig(), by=ANN)
    monkeypatch.setenv("SPARSECORE_MAX_QUEUED", "11")
    store.create(RunConfig(), by=ANN)
    with pytest.raises(QueueFull, match="11"):
        store.create(RunConfig(), by=ANN)


def test_a_sweep_takes_no_room_and_the_teacher_has_no_limit(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARSECORE_MAX_QUEUED", "1")
    stored.begin(store, SPEC, by=ANN)
    store.create(RunConfig(), by=ANN)
    for _ in range(3):
        store.create(RunConfig(), by=TEACHER)


@pytest.mark.parametrize("given", ["0", "-1", "ten", "1.5"])
def test_a_limit_that_is_none_is_refused_by_its_name(
    store: Store, given: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SPARSECORE_MAX_QUEUED", given)
    with pytest.raises(
        ValueError, match=f"SPARSECORE_MAX_QUEUED must be a whole number from 1, got '{given}'"
    ):
        store.create(RunConfig(), by=ANN)


# -- sweeps -----------------------------------------------------------------------------------------------


def owners(store: Store) -> list[str | None]:
    return [run.owner for run in store.list()]


def test_a_sweep_and_its_runs_are_his_who_began_it(store: Store):
    sweep = stored.begin(store, SPEC, by=ANN)
    assert stored.get(store, sweep).owner == "ann"
    assert owners(store) == ["ann", "ann"]
    for command in (stored.stop, stored.resume):
        with pytest.raises(NotYours, match=f"sweep {sweep} belongs to another user"):
            command(store, sweep, by=BOB)
    assert stored.get(store, sweep).state == "running"
    stored.stop(store, sweep, by=TEACHER)
    assert store.list() == []
    stored.resume(store, sweep, by=TEACHER)
    assert owners(store) == ["ann", "ann"]


def test_two_who_sweep_the_same_share_runs_and_stop_only_their_own_sweep(store: Store):
    hers, his = stored.begin(store, SPEC, by=ANN), stored.begin(store, SPEC, by=BOB)
    assert hers != his
    assert stored.begin(store, SPEC, by=ANN) == hers
    assert owners(store) == ["ann", "ann"]
    stored.stop(store, hers, by=ANN)
    assert [run.state for run in store.list()] == ["queued", "queued"]  # he still wants them
    stored.stop(store, his, by=BOB)
    assert store.list() == []


def test_a_sweep_goes_on_with_no_run_that_another_has_paused(store: Store):
    hers = stored.begin(store, SPEC, by=ANN)
    for run in store.list():
        store.claim(run.id, "w")
        store.set_state(run.id, "w", "paused")
    stored.stop(store, hers, by=ANN)
    stored.begin(store, SPEC, by=BOB)
    assert sorted((run.owner, run.state) for run in store.list()) == [
        ("ann", "paused"),
        ("ann", "paused"),
        ("bob", "queued"),
        ("bob", "queued"),
    ]


def test_who_is_alone_goes_on_with_a_sweep_of_the_command_line(store: Store):
    sweep = stored.begin(store, SPEC, origin="cli")
    stored.stop(store, sweep)
    assert stored.begin(store, SPEC, by=Person("ann", alone=True)) == sweep
    assert stored.begin(store, SPEC, by=BOB) != sweep


# -- a store of an older version --------------------------------------------------------------------------


@pytest.mark.dialect
def test_a_store_without_owners_is_brought_up_to_date_with_what_it_holds(store: Store, home: Path):
    run, sweep = store.create(RunConfig(density=0.3)), stored.begin(store, SPEC)
    with store.engine.begin() as connection:
        for statement in (
            "DROP INDEX runs_by_owner",
            "DROP INDEX sweeps_by_owner",
            "ALTER TABLE runs DROP COLUMN owner",
            "ALTER TABLE sweeps DROP COLUMN owner",
            "DROP TABLE turns",
        ):
            connection.execute(text(statement))
    store.close()
    opened = Store(home)
    assert (opened.get(run).owner, opened.get(run).config.density) == (None, 0.3)
    assert stored.get(opened, sweep).owner is None
    assert opened.claim(opened.create(RunConfig(), by=ANN), "w")
    assert "runs_by_owner" in {index["name"] for index in inspect(opened.engine).get_indexes("runs")}
    opened.close()
