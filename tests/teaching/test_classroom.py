"""One answer per person and lesson, and one shared run per config."""

import threading

import pytest

from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.people import HOST, NotYours, Person
from sparsecore.runs.store.run import LESSON
from sparsecore.runs.store.store import Store
from sparsecore.teaching.classroom import answers_of, clear_answers, count_answers, record_answer, shared_run

ANN, BOB, TEACHER = Person("ann"), Person("bob"), Person("tea", teacher=True)


def test_a_persons_first_answer_is_kept(store: Store):
    assert record_answer(store, "collapse", 2, ANN)
    assert not record_answer(store, "collapse", 0, ANN)
    assert record_answer(store, "collapse", 0, BOB)
    assert record_answer(store, "noise", 1, ANN)
    assert count_answers(store, "collapse", 4) == [1, 0, 1, 0]
    assert answers_of(store, "ann") == {"collapse": 2, "noise": 1}
    assert answers_of(store, "nobody") == {}


def test_an_answer_needs_an_owner_and_a_choice(store: Store):
    with pytest.raises(ValueError, match="needs a person"):
        record_answer(store, "collapse", 0, HOST)
    with pytest.raises(ValueError, match="got 'ann' and -1"):
        record_answer(store, "collapse", -1, ANN)


def test_only_the_teacher_clears_the_answers_of_a_class(store: Store):
    record_answer(store, "collapse", 2, ANN)
    record_answer(store, "noise", 1, ANN)
    with pytest.raises(NotYours):
        clear_answers(store, ["collapse"], ANN)
    clear_answers(store, ["collapse"], TEACHER)
    assert answers_of(store, "ann") == {"noise": 1}


def test_a_class_shares_one_run_of_each_config(store: Store):
    config = RunConfig(task="sinc", density=0.1)
    found, threads = [], []
    for _ in range(8):
        threads.append(threading.Thread(target=lambda: found.append(shared_run(store, config).id)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    run = store.get(found[0])
    assert (run.origin, run.owner, run.state) == (LESSON, None, "queued")
    assert shared_run(store, RunConfig(task="sinc", density=0.2)).id != run.id
    with pytest.raises(NotYours):
        store.command(run.id, "stop", by=Person("ann", alone=True))


def test_a_failed_or_stopped_shared_run_is_replaced(store: Store):
    config = RunConfig(task="sinc", density=0.1)
    first = shared_run(store, config)
    store.fail(first.id, "it broke.")
    second = shared_run(store, config)
    store.command(second.id, "stop")
    assert len({first.id, second.id, shared_run(store, config).id}) == 3
