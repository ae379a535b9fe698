"""A class on one server: `python -m sparsecore bench class`.

Viewers watch one run through the live route while users open pages, start a run each and use the pages, all
through real connections to a real server. The clients use the same cores as the server.
"""

import asyncio
import itertools
import json
import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from sparsecore.commands.benchmarks.server import Tab, own_home, server, server_process, wait_for
from sparsecore.commands.benchmarks.watching import (
    SETTLE_SECONDS,
    Crowd,
    Tell,
    begin_endless,
    compared,
    connected,
    live_path,
    viewing,
)
from sparsecore.dashboard.server.identity import owner_cookies
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.run import WELCOME, Run
from sparsecore.runs.store.store import Store
from sparsecore.settings import usable_cores

DEMO = {"task": "sinc", "size": "demo", "theta": 0.0}
RUN_STEPS = 100  # of a user's run: short, since the queue is measured, not the training
GREEDY_RUNS = 5  # that the first user starts at once, before the others
REOPENED_EVERY = 20  # interactions after which the tab is reloaded
LONGEST_SECONDS = 600.0
LOOK_SECONDS = 0.5
JUST_CAME_SECONDS = 0.5  # before a run begins: users who came later were unknown when it was chosen


class People:
    """Users with a page each: they press Train once, then use the page until all interactions are done."""

    def __init__(self, address: str, store: Store, people: int, pause: float, steps: int) -> None:
        self.address, self.store, self.pause = address, store, pause
        self.tabs = [Tab(address, **DEMO, max_steps=steps, seed=seed) for seed in range(people)]
        self.steps = steps
        self.opened: list[float] = []
        self.taken: list[float] = []
        self.queued: Counter = Counter()

    async def come(self) -> None:
        """Open all pages; the first user starts several runs before the others press Train."""
        self.opened = list(await asyncio.gather(*(tab.open() for tab in self.tabs)))
        for run in self.store.list(origin=WELCOME):  # half a minute of training that is not measured
            self.store.command(run.id, "stop")
        name, _, value = self.tabs[0].cookie.partition("=")
        greedy = Person(owner_cookies(self.store).owner({name: value}))
        for seed in range(GREEDY_RUNS):
            config = RunConfig.parse(DEMO | {"max_steps": self.steps, "seed": 1_000 + seed})
            self.store.create(config, by=greedy)
        self.taken += await asyncio.gather(*(tab.run("do_train") for tab in self.tabs))
        await asyncio.gather(*(self._read_place(run.id) for run in self.runs() if run.state == "queued"))

    async def _read_place(self, run_id: str) -> None:
        """Count whether the first message of a queued run's live view has its place and its wait."""
        async with await connected(self.address, live_path(self.store, run_id)) as socket:
            hello = json.loads(await socket.recv())
        if hello["state"] == "queued":
            self.queued["seen"] += 1
            self.queued["place"] += hello["place"] is not None
            self.queued["wait"] += hello["wait"] is not None

    def runs(self) -> list[Run]:
        """Return the runs that the users began, oldest first."""
        return [run for run in reversed(self.store.list()) if run.owner]

    async def use(self, interactions: int, tell: Tell) -> None:
        """Let all users interact, each at a random pace, at least until every run has begun."""
        todo = itertools.count(1)
        deadline = time.monotonic() + LONGEST_SECONDS + interactions * self.pause
        choice = random.Random(0)

        async def one(tab: Tab) -> None:
            while time.monotonic() < deadline:
                await asyncio.sleep(choice.uniform(0.5, 1.5) * self.pause)
                done = next(todo)
                if done % REOPENED_EVERY == 0:
                    await tab.close()
                    self.opened.append(await tab.open())
                else:
                    self.taken.append(await tab.run())
                tell("interactions", min(done, interactions), interactions)
                if done >= interactions and all(run.started for run in self.runs()):
                    return

        await asyncio.gather(*(one(tab) for tab in self.tabs))
        for tab in self.tabs:
            await tab.close()


@dataclass(frozen=True)
class Plan:
    """The size and the duration of a class.

    viewers: number of viewers of one run of demo size. people: number of users with a page each. pairs:
    number of pairs of windows of `window` seconds, with and without viewers, alternating. interactions:
    reruns of the Lab by all users together, about `pause` seconds apart for each user.
    """

    viewers: int
    people: int
    pairs: int
    window: float
    interactions: int
    pause: float


def classroom(plan: Plan, tell: Tell) -> dict[str, Any]:
    """Measure what the users of a class experience, and what they cost training."""
    with own_home() as home, server(home) as address:
        store = Store(home)
        try:
            return asyncio.run(_class(store, address, plan, tell))
        finally:
            for run in store.list(states=["queued", "running", "paused"]):
                store.command(run.id, "stop")
            wait_for(lambda: not store.list(states=["running"]), "the runs to stop")
            store.close()


async def _class(store: Store, address: str, plan: Plan, tell: Tell) -> dict[str, Any]:
    run_id = await asyncio.to_thread(begin_endless, store, DEMO["size"])
    path = live_path(store, run_id)
    size = {"cores": usable_cores(), "viewers": plan.viewers, "people": plan.people}
    speeds, _ = await viewing(store, run_id, address, plan.viewers, plan.pairs, plan.window, tell)
    crowd, slow = Crowd(address, path, plan.viewers), Crowd(address, path, 1, slow=True)
    async with crowd, slow:
        await asyncio.sleep(SETTLE_SECONDS)
        return (
            size
            | compared(speeds, "training_ratio")
            | await _lesson(store, address, plan, (crowd, slow), tell)
        )


async def _lesson(
    store: Store, address: str, plan: Plan, watching: tuple[Crowd, Crowd], tell: Tell
) -> dict[str, Any]:
    """What the people get of their pages and the queue, and the viewers, usual and slow, of frames."""
    crowd, slow = watching
    people = People(address, store, plan.people, plan.pause, RUN_STEPS)
    before, began = (list(crowd.frames), list(slow.frames)), time.perf_counter()
    memory: list[int] = []
    looking = asyncio.create_task(_look(server_process(address), memory))
    await people.come()
    await people.use(plan.interactions, tell)
    looking.cancel()
    seconds = time.perf_counter() - began
    rates = _rates(crowd, before[0], seconds)
    return {
        "seconds": seconds,
        "frames_a_second_least": min(rates),
        "frames_a_second_median": statistics.median(rates),
        "frames_a_second_of_a_slow_viewer": _rates(slow, before[1], seconds)[0],
        **_milliseconds("page_opened", people.opened),
        **_milliseconds("interaction", people.taken),
        **_queue(people),
        **_memory(memory),
    }


def _rates(crowd: Crowd, before: Sequence[int], seconds: float) -> list[float]:
    return [(now - then) / seconds for now, then in zip(crowd.frames, before, strict=True)]


async def _look(process: psutil.Process, found: list[int]) -> None:
    """Read the resident memory of the server from time to time, in bytes."""
    while True:
        found.append(process.memory_info().rss)
        await asyncio.sleep(LOOK_SECONDS)


def _milliseconds(name: str, seconds: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(1000 * each for each in seconds)
    return {
        f"{name}_count": len(ordered),
        f"{name}_ms_median": statistics.median(ordered),
        f"{name}_ms_p95": ordered[min(len(ordered) - 1, math.ceil(0.95 * len(ordered)) - 1)],
    }


def _queue(people: People) -> dict[str, Any]:
    found = people.runs()
    return {
        "runs_begun": sum(run.started is not None for run in found),
        "runs_requested": len(found),
        "turns_out_of_order": out_of_order(found),
        "queued_runs_seen": people.queued["seen"],
        "queued_runs_with_place": people.queued["place"],
        "queued_runs_with_wait": people.queued["wait"],
    }


def out_of_order(found: Sequence[Run]) -> int:
    """Count the runs that began while a user with fewer turns was waiting."""
    wrong = 0
    began = sorted((run for run in found if run.started), key=lambda run: run.started)
    had: Counter = Counter()
    for run in began:
        seen = run.started - JUST_CAME_SECONDS
        waiting = (other for other in found if other.created < seen < (other.started or math.inf))
        wrong += any(had[other.owner] < had[run.owner] for other in waiting)
        had[run.owner] += 1
    return wrong


def _memory(found: Sequence[int]) -> dict[str, Any]:
    """Summarise the server's memory in eight parts of the time, and its growth over the second half."""
    parts = [found[place * len(found) // 8 : (place + 1) * len(found) // 8] for place in range(8)]
    medians = [statistics.median(part) / 2**20 for part in parts if part]
    return {"server_MiB": medians, "server_growth_MiB": medians[-1] - medians[len(medians) // 2]}
