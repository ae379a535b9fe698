"""The cost of viewers of every frame for training: `python -m sparsecore bench watching`."""

import asyncio
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from sparsecore.commands.benchmarks.server import own_home, server, wait_for
from sparsecore.dashboard.server.live_route import tokens
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store

ENDLESS = {"task": "sinc", "theta": 0.0, "max_steps": 10_000_000}
SLOW_SECONDS = 3.0  # between two messages that the slow viewer reads
SETTLE_SECONDS = 1.0  # a new viewer receives the history, which is not measured

Tell = Callable[[str, int, int], None]


def watching(size: str = "paper", pairs: int = 30, window: float = 2.0) -> dict[str, Any]:
    """Compare steps per second with a viewer who reads every frame with those without.

    One run trains on a new server; see `viewing`.
    """
    with own_home() as home, server(home) as address:
        store = Store(home)
        run_id = begin_endless(store, size)
        speeds, frames = asyncio.run(viewing(store, run_id, address, 1, pairs, window))
        store.command(run_id, "stop")
        wait_for(lambda: not store.get(run_id).active, "the run to stop")
        store.close()
    return {
        "size": size,
        "pairs": pairs,
        "seconds_a_window": window,
        **compared(speeds, "ratio"),
        "frames_a_second": frames / (pairs * window),
    }


def begin_endless(store: Store, size: str) -> str:
    """Start a run that no measurement outlasts; returns its id once it has made some frames."""
    run_id = store.create(RunConfig.parse(ENDLESS | {"size": size}))
    wait_for(lambda: len(store.frames(run_id)) > 20, "the run to begin")
    return run_id


def live_path(store: Store, run_id: str) -> str:
    """Return the path of a run's live route, with a token."""
    return f"/live/{run_id}?token={tokens(store).issue(run_id)}"


async def viewing(
    store: Store,
    run_id: str,
    address: str,
    viewers: int,
    pairs: int,
    window: float,
    tell: Tell = lambda *_: None,
) -> tuple[dict[bool, list[float]], int]:
    """Return the steps per second of each window, by whether there were viewers, and their frames in all.

    Windows of `window` seconds with and without viewers alternate, so that other load affects both.
    """
    speeds: dict[bool, list[float]] = {False: [], True: []}
    frames = 0
    for pair in range(pairs):
        for watched in (False, True) if pair % 2 else (True, False):
            async with Crowd(address, live_path(store, run_id), viewers if watched else 0) as crowd:
                await asyncio.sleep(SETTLE_SECONDS)
                seen, began, first = sum(crowd.frames), time.perf_counter(), store.get(run_id).step
                await asyncio.sleep(window)
                speeds[watched].append((store.get(run_id).step - first) / (time.perf_counter() - began))
                frames += sum(crowd.frames) - seen
        tell("windows", pair + 1, pairs)
    return speeds, frames


def compared(speeds: dict[bool, list[float]], name: str) -> dict[str, Any]:
    """Summarise the windows of `viewing`; name: of the ratio of both."""
    return {
        "steps_a_second_alone": statistics.median(speeds[False]),
        "steps_a_second_watched": statistics.median(speeds[True]),
        **mean_ratio(name, [w / a for w, a in zip(speeds[True], speeds[False], strict=True)]),
    }


def mean_ratio(name: str, ratios: Sequence[float]) -> dict[str, Any]:
    """Return the geometric mean of ratios and its 95 % interval."""
    logs = [math.log(ratio) for ratio in ratios]
    middle = statistics.mean(logs)
    margin = 1.96 * statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.inf
    return {
        name: math.exp(middle),
        f"{name}_95_percent": [math.exp(middle - margin), math.exp(middle + margin)],
    }


class Crowd:
    """Viewers of one run; counts the frames that each received."""

    def __init__(self, address: str, path: str, viewers: int, slow: bool = False) -> None:
        self.address, self.path, self.slow = address, path, slow
        self.frames = [0] * viewers
        self.reading: list[asyncio.Task] = []

    async def __aenter__(self) -> "Crowd":
        sockets = await asyncio.gather(*(connected(self.address, self.path, self.slow) for _ in self.frames))
        self.reading = [asyncio.create_task(self._read(place, one)) for place, one in enumerate(sockets)]
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self.reading:
            task.cancel()
        await asyncio.gather(*self.reading, return_exceptions=True)

    async def _read(self, place: int, socket: ClientConnection) -> None:
        async with socket:
            async for message in socket:
                self.frames[place] += isinstance(message, bytes)
                if self.slow:
                    await asyncio.sleep(SLOW_SECONDS)


async def connected(address: str, path: str, slow: bool = False) -> ClientConnection:
    """A viewer; a slow one also has no room for what waits."""
    room = {"max_queue": 1, "ping_interval": None} if slow else {"ping_interval": None}
    return await connect(
        f"ws://{address}{path}", origin=f"http://{address}", max_size=None, open_timeout=60, **room
    )
