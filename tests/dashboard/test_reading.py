"""Work beside the page: watched, given up, and its failure told to whoever asks for the result."""

import threading

import pytest

from sparsecore.corpora.corpus import CorpusError
from sparsecore.dashboard.reading import Reading


def test_what_is_done_quickly_is_done_soon():
    reading = Reading(lambda progress, cancelled: 7)
    assert reading.soon()
    assert reading.result() == 7


def test_the_share_follows_what_was_read():
    go_on, told = threading.Event(), threading.Event()

    def work(progress, cancelled):
        progress(1, 4)
        told.set()
        assert go_on.wait(10)
        progress(9, 4)  # never past the whole

    reading = Reading(work)
    assert told.wait(10)
    assert not reading.done
    assert reading.share == 0.25
    go_on.set()
    reading.result()
    assert reading.share == 1.0


def test_given_up_work_ends_at_its_next_look():
    begun, ended = threading.Event(), threading.Event()

    def work(progress, cancelled):
        begun.set()
        while not cancelled():
            ended.wait(0.01)
        raise CorpusError("cancelled", "Reading was cancelled; nothing was kept.")

    reading = Reading(work)
    assert begun.wait(10)
    reading.cancel()
    with pytest.raises(CorpusError, match="cancelled"):
        reading.result()


def test_a_failure_is_raised_where_the_result_is_asked_for():
    def work(progress, cancelled):
        raise OSError("disk full")

    reading = Reading(work)
    with pytest.raises(OSError, match="disk full"):
        reading.result()
