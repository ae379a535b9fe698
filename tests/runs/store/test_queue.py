"""The queue is fair: people take turns, and everyone is told his true place and wait."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import queue
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.run import LESSON, WELCOME, new_row
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs, turns
from sparsecore.runs.sweeps.estimates import QueueWaits, start_times


@pytest.fixture
def store(either_database: str, home: Path) -> Iterator[Store]:
    opened = Store(home)
    yield opened
    opened.close()


def begin(store: Store, owner: str | None, origin: str = "page") -> str:
    row = new_row(RunConfig(max_steps=100), origin, owner)
    with store.engine.begin() as connection:
        connection.execute(insert(runs).values(row))
    return row["id"]


def order(store: Store) -> list[str]:
    with store.engine.connect() as connection:
        return [row.id for row in queue.waiting(connection)]


def queue_position(store: Store, run_id: str) -> int | None:
    """The position in the queue, 1 for the next run; None if the run is not queued."""
    queued = queue.ranked()
    return next(iter(store.scalars(select(queued.c.nth).where(queued.c.id == run_id))), None)


@pytest.mark.dialect
def test_one_turn_a_person_and_then_the_next(store: Store):
    a1, a2, a3 = (begin(store, "ann") for _ in range(3))
    b1, c1, b2 = begin(store, "bob"), begin(store, "cid"), begin(store, "bob")
    assert order(store) == [a1, b1, c1, a2, b2, a3]


def test_who_has_just_had_a_turn_comes_after_who_comes_later(store: Store):
    a1, a2 = begin(store, "ann"), begin(store, "ann")
    assert store.claim(a1, "w")
    b1, b2 = begin(store, "bob"), begin(store, "bob")
    assert order(store) == [b1, a2, b2]


def test_a_resumed_run_counts_as_a_turn_again(store: Store):
    a1, a2 = begin(store, "ann"), begin(store, "ann")
    store.claim(a1, "w")
    store.claim(begin(store, "bob"), "v")
    store.release(a1, "w")  # its server has ended
    store.claim(a1, "x")
    b2 = begin(store, "bob")
    assert order(store) == [b2, a2]


@pytest.mark.dialect
def test_sweeps_wait_behind_everybody_and_take_turns_among_themselves(store: Store):
    s1, s2, t1 = begin(store, "ann", "sweep"), begin(store, "ann", "sweep"), begin(store, "bob", "sweep")
    a1, a2 = begin(store, "ann"), begin(store, "ann")
    assert order(store) == [a1, a2, s1, t1, s2]
    store.claim(a1, "w")  # her turn, but not her sweep's
    assert order(store) == [a2, s1, t1, s2]


def test_runs_of_nobody_are_one_persons(store: Store):
    n1, n2, a1 = begin(store, None), begin(store, None), begin(store, "ann")
    assert order(store) == [n1, a1, n2]


def test_what_is_for_everybody_comes_first_and_is_nobodys_turn(store: Store):
    n1, s1, a1 = begin(store, None), begin(store, "ann", "sweep"), begin(store, "ann")
    welcome, lesson = begin(store, None, WELCOME), begin(store, None, LESSON)
    assert order(store) == [welcome, lesson, n1, a1, s1]
    assert store.claim(welcome, "w")
    assert order(store) == [lesson, n1, a1, s1]


class Simulated:
    """The rule said plainly: the owner whose turn is longest ago, then who came first; his oldest run."""

    def __init__(self) -> None:
        self.queued: list[tuple[bool, str, str]] = []  # of a sweep, owner, id; as they came
        self.turns: dict[tuple[bool, str], int] = {}
        self.now = 0

    def next(self) -> str | None:
        kinds = [sweep for sweep, _, _ in self.queued]
        if not kinds:
            return None
        here = [(owner, run) for sweep, owner, run in self.queued if sweep == min(kinds)]
        first_come = list(dict.fromkeys(owner for owner, _ in here))
        owner = min(first_come, key=lambda owner: self.turns.get((min(kinds), owner), -1))
        return next(run for name, run in here if name == owner)

    def take(self, run: str) -> None:
        sweep, owner, _ = taken = next(each for each in self.queued if each[2] == run)
        self.queued.remove(taken)
        self.turns[sweep, owner] = self.now
        self.now += 1

    def whole(self) -> list[str]:
        ahead = Simulated()
        ahead.queued, ahead.turns, ahead.now = list(self.queued), dict(self.turns), self.now
        found = []
        while (run := ahead.next()) is not None:
            ahead.take(run)
            found.append(run)
        return found


COMES = st.tuples(st.sampled_from(["ann", "bob", "cid", "dot"]), st.booleans())


@pytest.mark.dialect
@settings(max_examples=25)
@given(st.lists(st.one_of(COMES, st.none()), max_size=14))
def test_the_whole_queue_and_every_place_are_those_of_the_rule(store: Store, happens: list):
    with store.engine.begin() as connection:
        connection.execute(delete(runs))
        connection.execute(delete(turns))
    rule = Simulated()
    for event in happens:
        if event is None:  # a core is free
            if (run := rule.next()) is not None:
                assert store.claim(run, "w")
                rule.take(run)
        else:
            owner, sweep = event
            rule.queued.append((sweep, owner, begin(store, owner, "sweep" if sweep else "page")))
        assert order(store) == rule.whole()
    for place, run in enumerate(rule.whole(), start=1):
        assert queue_position(store, run) == place


# -- how long ---------------------------------------------------------------------------------------------


def test_a_wait_is_that_until_a_core_comes_to_the_run():
    assert start_times([], [3.0, 3.0, 3.0], cores=2) == [0.0, 0.0, 3.0]
    assert start_times([5.0], [1.0, 1.0], cores=1) == [5.0, 6.0]


def test_places_and_waits_follow_the_fair_order(store: Store):
    a1, a2, b1 = begin(store, "ann"), begin(store, "ann"), begin(store, "bob")
    waits = QueueWaits(store, cores=1)
    assert [waits.of(run).place for run in (a1, a2, b1)] == [1, 3, 2]
    assert 0.0 == waits.of(a1).seconds < waits.of(b1).seconds < waits.of(a2).seconds
    assert waits.of("nothere") is None


def test_what_is_for_everybody_waits_for_its_kind_alone(store: Store):
    assert store.claim(begin(store, "ann"), "v")
    b1, first = begin(store, "bob"), begin(store, None, LESSON)
    assert QueueWaits(store, cores=1).of(first).seconds == 0
    assert store.claim(first, "w")
    second = begin(store, None, LESSON)
    waits = QueueWaits(store, cores=1)
    assert [waits.of(run).place for run in (second, b1)] == [1, 2]
    assert 0 < waits.of(second).seconds == waits.of(b1).seconds  # until the one before it has ended
    assert store.claim(second, "x")  # a core was free, which it takes: only one trains beside the others
    assert QueueWaits(store, cores=2).of(b1).seconds > 0


def test_a_run_that_waits_for_a_cluster_has_a_place_there_and_no_guess(store: Store):
    here, there = begin(store, "ann"), begin(store, "bob")
    with store.engine.begin() as connection:
        queue.reserve(connection, [there], "ray:1", time.time())
    wait = QueueWaits(store, cores=1).of(there)
    assert (wait.place, wait.seconds) == (1, None)
    assert (queue_position(store, there), order(store)) == (1, [here])


def test_the_place_of_one_among_two_thousand(store: Store):
    rows = [new_row(RunConfig(seed=seed), "sweep", f"o{seed % 30}") for seed in range(2_000)]
    with store.engine.begin() as connection:
        connection.execute(insert(runs), rows)
    mine = store.create(RunConfig(), by=Person("ann"))
    assert queue_position(store, mine) == 1
