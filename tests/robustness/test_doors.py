"""The doors of a real server: the live route lets in who may watch, and stays upright whoever knocks.

The quick form knocks some hundred times, the long one (`-m slow`) ten thousand.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from itsdangerous.timed import TimestampSigner
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from sparsecore.dashboard.server.live_route import (
    CROWDED,
    FORBIDDEN,
    TOKEN_SECONDS,
    WRONG_ORIGIN,
    LiveRoute,
    WatchTokens,
    tokens,
)
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import encode
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.store import Store
from tests.browser.conftest import Server
from tests.robustness.in_a_thread import in_a_thread
from tests.robustness.knocking import (
    PATIENCE_SECONDS,
    complaints,
    files_of,
    healthy,
    knock,
    port_of,
    serving,
    status,
    upgrade,
)

SEATS = 20
PING_SECONDS = 2
AT_ONCE = 200  # connections that knock together; more wait in the system's own line
GROWTH = 40 * 2**20  # bytes that the server's memory may differ by: it allocates in such lumps
QUICK, LONG = 400, 10_000
FORM = [QUICK, pytest.param(LONG, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with few places, that soon finds out who is gone."""
    more = {
        "SPARSECORE_MAX_VIEWERS": str(SEATS),
        "STREAMLIT_SERVER_WEBSOCKET_PING_INTERVAL": str(PING_SECONDS),
    }
    with serving(tmp_path_factory.mktemp("doors"), **more) as running:
        yield running
        assert complaints(running) == []


@pytest.fixture(scope="module")
def store(server: Server) -> Iterator[Store]:
    opened = Store(server.home)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def run(store: Store) -> str:
    """A run that has ended, with a frame of some size."""
    made = store.create(RunConfig(), worker="test")
    frame = encode({"x": np.arange(50_000, dtype=np.float32)}, {"type": "frame"})
    store.write(made, "test", 0, [LogEntry("frame", 0, frame)])
    store.finish(made, "test", 0, "converged", {}, {})
    return made


@pytest.fixture(scope="module")
def heavy(store: Store) -> str:
    """The way to a run whose frame is more than the system keeps for a client that does not read."""
    made = store.create(RunConfig(), worker="test")
    frame = encode({"x": np.arange(4_000_000, dtype=np.float32)}, {"type": "frame"})
    store.write(made, "test", 0, [LogEntry("frame", 0, frame)])
    store.finish(made, "test", 0, "converged", {}, {})
    return f"/live/{made}?token={tokens(store).issue(made)}"


@pytest.fixture(scope="module")
def good(store: Store, run: str) -> str:
    return f"/live/{run}?token={tokens(store).issue(run)}"


async def watch(server: Server, path: str) -> ClientConnection:
    return await connect(
        f"ws://127.0.0.1:{port_of(server)}{path}",
        origin=server.url,
        max_size=None,
        open_timeout=PATIENCE_SECONDS,
    )


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.1)


async def hears_hello(server: Server, path: str) -> bool:
    """Whether a viewer is let in and sent the history; not when all places are taken."""
    async with await watch(server, path) as viewer:
        try:
            return json.loads(await asyncio.wait_for(viewer.recv(), PATIENCE_SECONDS))["type"] == "hello"
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != CROWDED:
                raise
            return False


async def finds_a_place(server: Server, path: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await hears_hello(server, path):
            await asyncio.sleep(0.2)


# -- who is let in ----------------------------------------------------------------------------------------


def old_token(store: Store, run: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        long_ago = int(time.time()) - TOKEN_SECONDS - 60
        patch.setattr(TimestampSigner, "get_timestamp", lambda self: long_ago)
        return tokens(store).issue(run)


def wrong_tokens(store: Store, run: str) -> list[str]:
    """Every kind of token that is not this run's: all are refused from our own page."""
    right = tokens(store).issue(run)
    other = tokens(store).issue(store.create(RunConfig(), worker="test"))
    forged = [right[:-1], right + "A", right.replace(".", "", 1), right.swapcase(), right[::-1]]
    junk = ["", "junk", "a.b.c", "...", "%00", "%ff%fe", "%F0%9F%92%A9", "x" * 5_000, "../../etc/passwd"]
    return [other, old_token(store, run), WatchTokens("guessed").issue(run), *forged, *junk]


def test_every_wrong_token_is_refused_and_the_right_one_is_not(
    server: Server, store: Store, run: str, good: str
):
    paths = [f"/live/{run}", *(f"/live/{run}?token={token}" for token in wrong_tokens(store, run))]

    async def knocks() -> None:
        for path in paths:
            assert await knock(server, path, server.url) in (400, FORBIDDEN), path
        assert await hears_hello(server, good)

    in_a_thread(knocks())


def test_another_origin_or_none_is_refused(server: Server, good: str):
    port = port_of(server)
    elsewhere = [
        None,
        "null",
        "http://evil.example",
        f"http://127.0.0.1:{port + 1}",
        f"http://127.0.0.1:{port}.evil.example",
        f"http://evil.example:{port}",
        f"http://user@127.0.0.1:{port}",
        "127.0.0.1",
        "http://[::1",
    ]

    async def knocks() -> None:
        for origin in elsewhere:
            assert await knock(server, good, origin) in (400, WRONG_ORIGIN), origin

    in_a_thread(knocks())


def test_a_run_is_no_path(server: Server, store: Store):
    names = ["../store.sqlite3", "..%2f..%2fetc%2fpasswd", "%00", "%2e%2e", "nothere", "a/b", "x" * 5_000]

    async def knocks() -> None:
        for name in names:
            token = tokens(store).issue(name)
            assert await knock(server, f"/live/{name}?token={token}", server.url) in (
                400,
                403,
                404,
                FORBIDDEN,
            ), name

    in_a_thread(knocks())


# -- how many ---------------------------------------------------------------------------------------------


def test_the_limit_of_viewers_is_a_number_of_the_environment(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARSECORE_MAX_VIEWERS", "7")
    assert LiveRoute(store).most == 7
    monkeypatch.setenv("SPARSECORE_MAX_VIEWERS", "many")
    with pytest.raises(ValueError, match="SPARSECORE_MAX_VIEWERS must be a whole number from 1, got 'many'"):
        LiveRoute(store)


def refused_knocks(server: Server, store: Store, run: str, good: str) -> Iterator[tuple[str, str | None]]:
    """Without end: the path and origin of somebody who must be refused."""
    choice = random.Random(6)
    wrong = [f"/live/{run}?token={token}" for token in wrong_tokens(store, run)]
    while True:
        mine = server.url if choice.random() < 0.7 else "http://evil.example"
        yield (choice.choice(wrong), mine) if mine == server.url else (good, mine)


async def many(server: Server, times: int, one: Callable[[], asyncio.Future]) -> Counter:
    """What so many knocks are answered with; meanwhile the server answers others."""
    found: Counter = Counter()
    left = times

    async def knocker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            found[await one()] += 1

    async def others() -> None:
        while left > 0:
            assert await healthy(server)
            found["healthy"] += 1
            await asyncio.sleep(0.5)

    await asyncio.gather(others(), *(knocker() for _ in range(AT_ONCE)))
    return found


@pytest.mark.parametrize("times", FORM)
def test_so_many_refused_connections_leave_nothing_behind(
    server: Server, store: Store, run: str, good: str, times: int
):
    knocks = refused_knocks(server, store, run, good)

    async def all_of_them(so_many: int) -> Counter:
        return await many(server, so_many, lambda: knock(server, *next(knocks)))

    in_a_thread(all_of_them(QUICK // 2))  # what a first time costs is not what is asked
    memory, files = server.memory(), files_of(server)
    found = in_a_thread(all_of_them(times))
    assert found.pop("healthy") > 0
    assert set(found) <= {400, FORBIDDEN, WRONG_ORIGIN}
    assert sum(found.values()) == times
    in_a_thread(eventually(lambda: files_of(server) <= files + 5))
    assert server.memory() - memory < GROWTH
    in_a_thread(finds_a_place(server, good))


@pytest.mark.parametrize("times", FORM)
def test_viewers_beyond_the_limit_are_told_so_and_the_others_stay(server: Server, good: str, times: int):
    async def crowd() -> Counter:
        inside = [await watch(server, good) for _ in range(SEATS)]
        for viewer in inside:
            assert json.loads(await asyncio.wait_for(viewer.recv(), PATIENCE_SECONDS))["type"] == "hello"

        async def one() -> tuple[int, str]:
            async with await watch(server, good) as viewer:
                with pytest.raises(ConnectionClosed) as closed:
                    await asyncio.wait_for(viewer.recv(), PATIENCE_SECONDS)
                return closed.value.rcvd.code, closed.value.rcvd.reason

        found = await many(server, times // 2, one)
        for viewer in inside:
            await (await viewer.ping())  # those who came first are still there
            await viewer.close()
        return found

    found = in_a_thread(crowd())
    assert found.pop("healthy") > 0
    assert found == {(CROWDED, f"the limit of {SEATS} viewers is reached; try again later"): times // 2}
    in_a_thread(finds_a_place(server, good))


@pytest.mark.parametrize("times", FORM)
def test_connections_that_never_ask_for_anything_hold_nobody_up(server: Server, good: str, times: int):
    before = files_of(server)

    async def held() -> None:
        open_ones = []
        for place in range(times):
            _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
            writer.write((b"", b"GET / HTT", upgrade(server, good, server.url)[:-10])[place % 3])
            open_ones.append(writer)
        await eventually(lambda: files_of(server) >= before + times)
        for _ in range(5):
            assert await healthy(server)
            assert await hears_hello(server, good)
        for writer in open_ones:
            writer.close()
        await eventually(lambda: files_of(server) <= before + 5)

    in_a_thread(held())


@pytest.mark.parametrize("watched", ["good", pytest.param("heavy", marks=pytest.mark.slow)])
def test_who_never_reads_nor_answers_loses_his_place(
    server: Server, good: str, watched: str, request: pytest.FixtureRequest
):
    """All places are taken by clients that are dead after the handshake; soon others find one."""
    path = request.getfixturevalue(watched)

    async def mute() -> None:
        writers = []
        for _ in range(SEATS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server), limit=1024)
            writer.write(upgrade(server, path, server.url))
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)
            assert status(head) == 101
            writer.transport.pause_reading()
            writers.append(writer)
        assert not await hears_hello(server, good)
        await finds_a_place(server, good)
        for writer in writers:
            writer.transport.abort()

    in_a_thread(mute())


def test_what_a_viewer_says_ends_at_most_his_own_connection(server: Server, good: str):
    rude = [b"\x00\xff", "\x00", "[" * 50_000, '{"frame": 1e999}', '{"matrix": true}', '{"frame": -1}']
    rude += [
        '{"frame": ' + "9" * 5_000 + "}",
        '{"follow": {}}',
        "x" * 1_000_000,
        '{"matrix": 9007199254740993}',
    ]

    async def all_of_them() -> None:
        async with await watch(server, good) as polite:
            await polite.recv()
            for said in rude:
                async with await watch(server, good) as viewer:
                    await viewer.recv()
                    await viewer.send(said)
                await (await polite.ping())
            assert await healthy(server)

    in_a_thread(all_of_them())
