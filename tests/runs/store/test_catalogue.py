"""Name, note, pin, delete and undo, and the search among runs, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, text, update

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.catalogue import STATES, RunFilter, count, find
from sparsecore.runs.store.errors import LostRun
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.people import HOST, NotYours, Person
from sparsecore.runs.store.run import WELCOME, new_row
from sparsecore.runs.store.store import Store
from sparsecore.runs.store.tables import runs
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.spec import SweepSpec
from tests.runs.store.test_queue import queue_position

ANN, BOB, TEACHER = Person("ann"), Person("bob"), Person("tea", teacher=True)
MANY = 10_000


@pytest.fixture
def store(either_database: str, home: Path) -> Iterator[Store]:
    opened = Store(home)
    yield opened
    opened.close()


def ended(store: Store, **config) -> str:
    run = store.create(RunConfig(**config), worker="w", by=ANN)
    store.write(run, "w", 7, [LogEntry("frame", 7, b"x" * 100)], checkpoint=b"c")
    store.finish(run, "w", 7, "max_steps", {}, {"metrics": {}})
    return run


# -- name, note, pin --------------------------------------------------------------------------------------


@pytest.mark.dialect
def test_a_name_and_a_note_are_kept_and_taken_away(store: Store):
    run = ended(store)
    catalogue.describe(store, run, name="  my   best\trun ", note="line\nline\x00", by=ANN)
    assert (store.get(run).name, store.get(run).note) == ("my best run", "line\nline")
    catalogue.describe(store, run, name="", by=ANN)
    assert (store.get(run).name, store.get(run).note) == (None, "line\nline")


def test_a_name_that_is_too_long_is_refused_and_changes_nothing(store: Store):
    run = ended(store)
    catalogue.describe(store, run, name="a" * catalogue.NAME_CHARACTERS, by=ANN)
    with pytest.raises(catalogue.TooLong, match="a name has at most 80 characters"):
        catalogue.describe(store, run, name="b" * (catalogue.NAME_CHARACTERS + 1), note="n", by=ANN)
    assert (store.get(run).name[0], store.get(run).note) == ("a", None)


@pytest.mark.parametrize(
    "act", [catalogue.pin, catalogue.remove, lambda *a, **k: catalogue.describe(*a, name="x", **k)]
)
def test_only_the_owner_and_the_teacher_may_name_pin_and_delete(store: Store, act):
    run = ended(store)
    with pytest.raises(NotYours):
        act(store, run, by=BOB)
    assert find(store, RunFilter())[0] == store.get(run)
    assert (store.get(run).name, store.get(run).pinned) == (None, None)
    act(store, run, by=TEACHER)
    with pytest.raises(KeyError):
        act(store, "nothere", by=TEACHER)


# -- delete and undo --------------------------------------------------------------------------------------


@pytest.mark.dialect
def test_a_deleted_run_is_nowhere_and_comes_back_as_it_was(store: Store):
    run = ended(store)
    before, frames = store.get(run), store.frames(run)
    catalogue.remove(store, run, by=ANN)
    assert (store.get(run), store.list(), find(store, RunFilter()), count(store, RunFilter())) == (
        None,
        [],
        [],
        0,
    )
    assert [found.id for found in catalogue.recently_deleted(store, ANN)] == [run]
    assert catalogue.recently_deleted(store, BOB) == []
    with pytest.raises(NotYours):
        catalogue.restore(store, run, by=BOB)
    catalogue.restore(store, run, by=ANN)
    assert (store.get(run), store.frames(run), store.checkpoint(run)) == (before, frames, (7, b"c"))
    with pytest.raises(KeyError):
        catalogue.restore(store, run, by=ANN)


def test_a_deleted_run_that_trained_is_let_go_and_goes_on_when_it_comes_back(store: Store):
    run = store.create(RunConfig(), worker="w", by=ANN)
    store.command(run, "pause", by=ANN)
    catalogue.remove(store, run, by=ANN)
    with pytest.raises(LostRun):
        store.write(run, "w", 8, [])
    store.resume(run)
    store.command(run, "step")
    assert store.paused_with_commands() == []
    assert queue_position(store, run) is None
    assert not store.claim(run, "other")
    assert not store.claim(run, "other", "paused")
    catalogue.restore(store, run, by=ANN)
    assert store.get(run).state == "queued"
    assert store.claim(run, "other")


def test_a_paused_run_comes_back_paused(store: Store):
    run = store.create(RunConfig(), worker="w", by=ANN)
    store.set_state(run, "w", "paused")
    catalogue.remove(store, run, by=ANN)
    catalogue.restore(store, run, by=ANN)
    assert (store.get(run).state, store.get(run).worker) == ("paused", None)


def test_a_sweep_trains_the_cell_of_a_deleted_run_again(store: Store):
    spec = SweepSpec(task="sinc", methods=("global",), densities=(0.4,), seeds=(0,))
    stored.begin(store, spec)
    (run,) = store.list()
    catalogue.remove(store, run.id)
    assert [cell.status for cell in stored.cells_of(store, spec)] == ["missing"]
    stored.begin(store, spec)
    assert [cell.status for cell in stored.cells_of(store, spec)] == ["queued"]


@pytest.mark.dialect
def test_what_was_deleted_long_ago_is_erased_and_nothing_else(store: Store):
    old, fresh, kept = ended(store), ended(store), ended(store)
    catalogue.remove(store, old)
    catalogue.remove(store, fresh)
    with store.engine.begin() as connection:
        long_ago = update(runs).where(runs.c.id == old).values(deleted=1.0)
        connection.execute(long_ago)
    assert catalogue.purge(store) == 1
    with pytest.raises(KeyError):
        catalogue.restore(store, old)
    assert store.frames(old) == []
    catalogue.restore(store, fresh)
    assert {run.id for run in store.list()} == {fresh, kept}


def test_who_is_alone_may_do_it_to_what_is_nobodys_but_not_to_the_welcome(store: Store):
    alone = Person("ann", alone=True)
    nobodys, welcome = store.create(RunConfig()), store.create(RunConfig(), origin=WELCOME)
    catalogue.remove(store, nobodys, by=alone)
    with pytest.raises(NotYours):
        catalogue.remove(store, welcome, by=alone)
    assert [run.id for run in catalogue.recently_deleted(store, alone)] == [nobodys]


# -- search -----------------------------------------------------------------------------------------------


def ids(store: Store, **wanted) -> list[str]:
    return [run.id for run in find(store, RunFilter(**wanted))]


@pytest.mark.dialect
def test_a_search_finds_words_of_the_id_the_name_and_the_note_in_any_case(store: Store):
    one, two = ended(store), ended(store)
    catalogue.describe(store, one, name="Best of Monday", note="keeps 5 % of the weights")
    catalogue.describe(store, two, name="螺旋 第二次")
    assert ids(store, text="MONDAY best") == ids(store, text="weights") == [one]
    assert ids(store, text="第二") == ids(store, text=two.upper()) == [two]
    assert ids(store, text="monday 第二") == []
    assert ids(store, text="5 %") == [one]
    assert ids(store, text="%") == [one]  # a mark, no wildcard
    assert ids(store, text="_") == []


@pytest.mark.dialect
def test_filters_hold_together(store: Store):
    sinc, spirals = ended(store, method="global"), ended(store, task="spirals")
    waiting = store.create(RunConfig(), by=BOB)
    assert ids(store) == [waiting, spirals, sinc]
    assert ids(store, task="spirals") == [spirals]
    assert ids(store, method="global", owner="ann") == [sinc]
    assert ids(store, state="max_steps") == [spirals, sinc]
    assert ids(store, state="queued", owner="ann") == []
    assert ids(store, owner="bob") == [waiting]
    assert count(store, RunFilter(owner="ann")) == 2


@pytest.mark.dialect
def test_pinned_runs_come_first_and_can_be_asked_for_alone(store: Store):
    first, second, third = ended(store), ended(store), ended(store)
    catalogue.pin(store, first, by=ANN)
    assert ids(store) == [first, third, second]
    assert ids(store, pinned=True) == [first]
    catalogue.pin(store, first, pinned=False, by=HOST)
    assert ids(store) == [third, second, first]


@pytest.mark.parametrize("state", STATES)
def test_every_state_of_the_filter_can_be_asked_for(store: Store, state: str):
    assert ids(store, state=state) == []


def test_a_search_among_ten_thousand_runs_reads_only_what_it_shows(store: Store):
    rows = [new_row(RunConfig(seed=place), "page") | {"id": f"run{place:05}"} for place in range(MANY)]
    for row in rows:
        row |= {"state": "ended", "reason": "max_steps", "name": f"week {'abcdefghij'[int(row['id'][-1])]}x"}
    with store.engine.begin() as connection:
        connection.execute(insert(runs), rows)
    found = find(store, RunFilter(text="WEEK hx", task="sinc"), limit=200)
    assert (len(found), found[0].id) == (200, "run09997")
    assert count(store, RunFilter(text="week hx")) == MANY // 10


# -- a store of an older version --------------------------------------------------------------------------


@pytest.mark.dialect
def test_a_store_without_the_new_columns_gets_them(store: Store):
    run = ended(store)
    with store.engine.begin() as connection:
        connection.execute(text("DROP INDEX runs_by_deletion"))
        for name in ("name", "note", "pinned", "deleted", "deleted_state"):
            connection.execute(text(f"ALTER TABLE runs DROP COLUMN {name}"))
    store.close()
    newer = Store(store.home)
    catalogue.describe(newer, run, name="old but good")
    catalogue.remove(newer, run)
    catalogue.restore(newer, run)
    assert newer.get(run).name == "old but good"
    newer.close()
