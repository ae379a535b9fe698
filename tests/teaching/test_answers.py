"""One answer per person, one shared run per config, and masks predicted from retention counts."""

import threading

import numpy as np
import pytest

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import encode
from sparsecore.runs.insights.retention import foretold
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.people import HOST, NotYours, Person
from sparsecore.runs.store.run import LESSON
from sparsecore.runs.store.store import Store
from sparsecore.teaching.answers import answers_of, clear_answers, count_answers, record_answer
from sparsecore.teaching.shared_runs import shared_run

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


def frame(step: int, count: list[int], mask: list[bool], pool: int = 1) -> LogEntry:
    """Return a frame of one pruned layer with four weights and one layer that is not pruned."""
    bits = np.packbits(np.array(mask), bitorder="little")
    arrays = {"count.0": np.array([[9, 9]], np.uint16), "mask.0": np.packbits([1, 1], bitorder="little")}
    arrays |= {"count.1": np.array([count], np.uint16), "mask.1": bits}
    matrices = [{"layer": 0, "rows": 1, "cols": 2, "pool": [1, 1]}]
    matrices.append({"layer": 1, "rows": 1, "cols": 4, "pool": [1, pool]})
    return LogEntry(
        "frame",
        step,
        encode(arrays, {"matrices": matrices, "layers": [{"prunable": False}, {"prunable": True}]}),
    )


def logged(store: Store, *entries: LogEntry) -> str:
    run_id = store.create(RunConfig(), worker="w")
    store.write(run_id, "w", entries[-1].step, entries)
    return run_id


def test_prediction_by_counts_matches_a_hand_computed_case(store: Store):
    early, late = [True, False, True, False], [True, True, False, False]
    run_id = logged(
        store,
        frame(1, [1, 0, 1, 0], early),  # most counted: places 1 and 3; of the final two, one
        frame(5, [5, 3, 2, 0], late),
        frame(9, [9, 7, 2, 0], late),
    )
    found = foretold(store, run_id)
    assert found.steps.tolist() == [1, 5, 9]
    assert found.by_counts.tolist() == [0.5, 1.0, 1.0]
    assert found.by_mask.tolist() == [0.5, 1.0, 1.0]
    assert (found.by_chance, found.last) == (0.5, 9)
    assert found.at(0.5) == (5, 1.0, 1.0)


def test_one_frame_or_pooled_weights_give_no_prediction(store: Store):
    one = frame(1, [1, 0, 1, 0], [True, False, True, False])
    assert foretold(store, logged(store, one)) is None
    blocks = [frame(step, [1, 0, 1, 0], [True, False, True, False], pool=2) for step in (1, 2)]
    assert foretold(store, logged(store, *blocks)) is None
