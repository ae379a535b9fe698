"""A run's log stays small: thinned evenly, its newest row always there."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, insert, select

from sparsecore.runs.store.log import LIMITS, MB, Limit, LogEntry, append, rewind
from sparsecore.runs.store.tables import log, metadata, runs

RUN = "abcdefgh"


def begin() -> Connection:
    """A connection to a database in memory that holds one run."""
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    connection = engine.connect()
    row = {"id": RUN, "config": {}, "digest": "", "origin": "cli", "state": "running", "created": 0.0}
    connection.execute(insert(runs).values(row))
    return connection


def rows(connection: Connection, kind: str = "frame") -> list[int]:
    """The steps of the kept rows of a kind."""
    query = select(log.c.step).where(log.c.run_id == RUN, log.c.kind == kind).order_by(log.c.id)
    return list(connection.execute(query).scalars())


def size(connection: Connection) -> int:
    return sum(connection.execute(select(log.c.size)).scalars())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that sets the limit of frames."""

    def limit(**of_frames: int) -> None:
        monkeypatch.setitem(
            LIMITS, "frame", Limit(**({"rows": 10**9, "size": 10**9, "check": 1} | of_frames))
        )

    return limit


def test_all_rows_are_kept_while_they_fit(small: Callable[..., None]):
    small(rows=5)
    with begin() as connection:
        append(connection, RUN, [LogEntry("frame", step, b"x") for step in range(5)])
        assert rows(connection) == [0, 1, 2, 3, 4]


def test_past_the_limit_every_second_row_stays_then_every_fourth(small: Callable[..., None]):
    small(rows=4)
    seen = []
    with begin() as connection:
        for step in range(17):
            append(connection, RUN, [LogEntry("frame", step, b"x")])
            seen.append(rows(connection))
    assert seen[3] == [0, 1, 2, 3]
    assert seen[4] == [0, 2, 4]
    assert seen[5] == [0, 2, 4, 5]
    assert seen[6] == [0, 2, 4, 6]
    assert seen[7] == [0, 4, 7]
    assert seen[8] == [0, 4, 8]
    assert seen[16] == [0, 8, 16]


def test_size_counts_too(small: Callable[..., None]):
    small(size=100)
    with begin() as connection:
        append(connection, RUN, [LogEntry("frame", step, b"x" * 30) for step in range(4)])
        assert rows(connection) == [0, 2, 3]


def test_kinds_and_runs_are_thinned_each_by_itself(small: Callable[..., None]):
    small(rows=2)
    with begin() as connection:
        for step in range(6):
            append(connection, RUN, [LogEntry("frame", step, b"x"), LogEntry("record", step, b"x")])
        assert rows(connection, "record") == [0, 1, 2, 3, 4, 5]
        assert len(rows(connection)) <= 3


def test_scenes_and_changes_are_never_dropped(small: Callable[..., None]):
    small(rows=2)
    with begin() as connection:
        append(connection, RUN, [LogEntry("scene", 0, b"x")])
        append(connection, RUN, [LogEntry("change", step, b"x") for step in range(50)])
        assert rows(connection, "change") == list(range(50))
        assert rows(connection, "scene") == [0]


def test_rewinding_drops_what_lies_past_the_step_and_the_log_goes_on(small: Callable[..., None]):
    small(rows=8)
    with begin() as connection:
        append(connection, RUN, [LogEntry("frame", step, b"x") for step in range(7)])
        rewind(connection, RUN, 3)
        assert rows(connection) == [0, 1, 2, 3]
        append(connection, RUN, [LogEntry("frame", step, b"y") for step in (4, 5)])
        assert rows(connection) == [0, 1, 2, 3, 4, 5]


def test_the_ids_of_dropped_rows_never_come_again(small: Callable[..., None]):
    small(rows=8)
    with begin() as connection:
        append(connection, RUN, [LogEntry("frame", step, b"x") for step in range(5)])
        newest = connection.execute(select(log.c.id).order_by(log.c.id.desc())).scalar()
        rewind(connection, RUN, -1)
        append(connection, RUN, [LogEntry("frame", 0, b"x")])
        assert connection.execute(select(log.c.id)).scalars().all() == [newest + 1]


@settings(max_examples=25)
@given(limit=st.integers(3, 12), count=st.integers(1, 90), burst=st.integers(1, 7))
def test_what_is_kept_lies_evenly_over_the_run_with_its_first_and_newest(limit: int, count: int, burst: int):
    with pytest.MonkeyPatch.context() as patch, begin() as connection:
        patch.setitem(LIMITS, "frame", Limit(rows=limit, size=10**9, check=1))
        entries = [LogEntry("frame", step, b"x") for step in range(count)]
        for place in range(0, count, burst):
            append(connection, RUN, entries[place : place + burst])
        kept = rows(connection)
    assert kept[0] == 0
    assert kept[-1] == count - 1
    assert len(kept) <= limit + 1
    gaps = {later - earlier for earlier, later in pairwise(kept[:-1])}
    assert len(gaps) <= 1


def test_a_long_run_of_large_frames_stays_under_25_mb():
    frame, record = bytes(900_000), bytes(1_800)
    with begin() as connection:
        largest = 0
        for step in range(200):
            entries = [LogEntry("frame", step, frame)] if step % 4 == 0 else []
            append(connection, RUN, [*entries, *(LogEntry("record", step, record) for _ in range(20))])
            largest = max(largest, size(connection))
        assert largest < 25 * MB
        assert rows(connection)[-1] == 196
        assert len(rows(connection)) >= 8


def test_a_long_run_of_small_frames_keeps_300_to_600_of_them():
    with begin() as connection:
        append(connection, RUN, [LogEntry("frame", step, b"x" * 100) for step in range(1_500)])
        assert 300 <= len(rows(connection)) <= 601
