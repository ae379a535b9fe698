"""`kill -9` of workers, servers, or both: runs go on by themselves, to the weights of a run left alone."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.blobs import decode
from sparsecore.engine.training.events import Checkpoint
from sparsecore.engine.training.loop import CHECKPOINT_SECONDS, train
from sparsecore.runs.store.store import Store
from tests.robustness.servers import kill, serve, soon, trainers, workers
from tests.robustness.watching import Watch

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are found in /proc")

Victim = Literal["worker", "server", "both"]
Moment = Literal["training", "checkpoint", "end"]

MOST_LOST_SECONDS = 2.0
GONE_SECONDS = 10.0  # after the server's end no process of it is left
AROUND_SECONDS = 0.05  # on either side of the moment when a checkpoint is due
LAST_SHARE = 0.97  # of a run's steps; beyond it every frame may be the last


@dataclass(frozen=True)
class Kill:
    """One `kill -9`: of whom, when, and what it cost."""

    victim: Victim
    moment: Moment
    lost_seconds: float
    gone_seconds: float
    step: int


class Ground:
    """A home with a server that may be killed at any moment, and is started again."""

    def __init__(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self.home, self.store = home, Store(home)
        self.server: subprocess.Popen | None = None

    def serve(self) -> None:
        self.server = serve(self.home)

    def end(self) -> None:
        """Kill whatever is left, for the next test."""
        if self.server is not None and self.server.poll() is None:
            self.server.kill()
        if self.server is not None:
            self.server.wait()
        for pid in workers(self.home):
            kill(pid)
        self.store.close()

    def kill(self, victim: Victim) -> float:
        """Kill; the seconds until no process of a killed server was left, 0 where it was none."""
        began = time.monotonic()
        if victim in ("worker", "both"):
            for pid in trainers(self.home):
                kill(pid)
        if victim == "worker":
            return 0.0
        self.server.kill()
        self.server.wait()
        soon(lambda: not workers(self.home), "that no process is left")
        return time.monotonic() - began


@pytest.fixture
def ground(home: Path) -> Iterator[Ground]:
    made = Ground(home)
    yield made
    made.end()


@cache
def straight(config: RunConfig) -> dict[str, np.ndarray]:
    """The last checkpoint's arrays of the run that nobody interrupts."""
    torch.set_num_threads(1)
    return [event for event in train(config) if isinstance(event, Checkpoint)][-1].arrays


def assert_as_if_left_alone(store: Store, run: str, config: RunConfig) -> None:
    """The run has ended, each step was recorded once, and its state is that of the straight run."""
    found = store.get(run)
    assert (found.state, found.reason, found.worker) == ("ended", "max_steps", None), found.error
    records = [row.step for row in store.entries(run, ["record"])]
    assert records == sorted(set(records))
    saved, expected = decode(store.checkpoint(run)[1])[0], straight(config)
    assert saved.keys() == expected.keys()
    for name, array in expected.items():
        assert np.array_equal(saved[name], array), name


def wait_for(moment: Moment, watch: Watch, last: int, chance: random.Random) -> None:
    """Return at a random instant of the moment, or when the run has ended before it."""

    def over() -> bool:
        return watch.ended

    soon(lambda: over() or watch.began_at is not None, "that a worker trains")
    if moment == "training":
        time.sleep(chance.uniform(0.0, 2 * CHECKPOINT_SECONDS))
    elif moment == "checkpoint":
        seen = watch.saved
        soon(lambda: over() or watch.saved > seen, "a checkpoint")
        time.sleep(CHECKPOINT_SECONDS + chance.uniform(-AROUND_SECONDS, AROUND_SECONDS))
    else:
        soon(lambda: over() or watch.step >= LAST_SHARE * last, "the end")
        time.sleep(chance.uniform(0.0, 0.3))


def strike(ground: Ground, watch: Watch, victim: Victim, moment: Moment, chance: random.Random) -> Kill:
    """Kill at the moment, start the server again, and wait until the run trains again or has ended."""
    run = watch.run_id
    wait_for(moment, watch, ground.store.get(run).config.max_steps, chance)
    lost, step, held = watch.unsaved(time.monotonic()), watch.step, watch.workers[-1]
    ended = not ground.store.get(run).active
    gone = ground.kill(victim)
    if ended:
        lost = 0.0
    elif victim == "server":  # its worker lives for long enough to save what it has
        lost = 0.0
        assert ground.store.checkpoint(run)[0] >= step
    if victim != "worker":
        ground.serve()

    def goes_on() -> bool:
        return watch.workers[-1] != held and watch.began_at is not None

    soon(lambda: goes_on() or not ground.store.get(run).active, "that another worker goes on")
    return Kill(victim, moment, lost, gone, step)


def survive(ground: Ground, config: RunConfig, kills: list[tuple[Victim, Moment]], seed: int) -> list[Kill]:
    """Train one run through these kills to its end."""
    chance = random.Random(seed)
    run = ground.store.create(config)
    watch = Watch(ground.store, run)
    watch.start()
    try:
        done = [strike(ground, watch, victim, moment, chance) for victim, moment in kills]
        soon(lambda: not ground.store.get(run).active, "that the run ends")
    finally:
        watch.end()
    assert_as_if_left_alone(ground.store, run, config)
    return done


def test_a_run_survives_the_end_of_its_worker_of_its_server_and_of_both(ground: Ground):
    config = RunConfig(theta=0.0, max_steps=6_000, seed=3, method="global", density=0.3)
    ground.serve()
    kills = [("server", "training"), ("worker", "checkpoint"), ("both", "end")]
    done = survive(ground, config, kills, seed=7)
    assert [each.victim for each in done] == ["server", "worker", "both"]


def test_two_servers_on_one_store_train_no_run_twice(ground: Ground):
    configs = [RunConfig(theta=0.0, max_steps=1_500, seed=seed) for seed in range(3)]
    ids = [ground.store.create(config) for config in configs]
    watches = [Watch(ground.store, run) for run in ids]
    for watch in watches:
        watch.start()
    second = None
    try:
        ground.serve()
        second = serve(ground.home)
        soon(lambda: not any(ground.store.get(run).active for run in ids), "that all runs end")
    finally:
        for watch in watches:
            watch.end()
        if second is not None:
            second.kill()
            second.wait()
    for watch, run, config in zip(watches, ids, configs, strict=True):
        assert len(watch.workers) == 1, watch.workers
        assert_as_if_left_alone(ground.store, run, config)


LONG = {
    "sinc demo": RunConfig(theta=0.0, max_steps=6_000, seed=1),
    "sinc paper": RunConfig(size="paper", theta=0.0, max_steps=1_200, seed=2, density=0.3),
    "sinc paper latent": RunConfig(size="paper", theta=0.0, max_steps=1_200, seed=3, mode="latent"),
    "spirals demo": RunConfig(task="spirals", theta=0.0, max_steps=3_000, seed=4, keep_alive=1),
    "texts demo": RunConfig(task="vulnerabilities", theta=0.0, max_steps=200, seed=5),
}


LARGE = RunConfig(task="vulnerabilities", size="laptop", theta=0.0, max_steps=40, seed=6)


@pytest.mark.slow
def test_kills_of_a_large_network_lose_at_most_two_seconds_and_change_no_weight(ground: Ground):
    """SQLite takes seconds of a busy machine for the 76 MB of its state, which is in a file meanwhile."""
    ground.serve()
    kills: list[tuple[Victim, Moment]] = [("worker", "training"), ("both", "training")]
    done = survive(ground, LARGE, kills, seed=9)
    print("texts laptop", *done, sep="\n  ")
    assert max(each.lost_seconds for each in done) <= MOST_LOST_SECONDS


@pytest.mark.slow
def test_twenty_kills_lose_at_most_two_seconds_each_and_change_no_weight(ground: Ground):
    victims: Iterator[Victim] = cycle(("worker", "both", "server"))
    moments: list[Moment] = ["training", "checkpoint", "training", "end"]
    ground.serve()
    done: list[Kill] = []
    for place, (name, config) in enumerate(LONG.items()):
        done += survive(ground, config, [(next(victims), moment) for moment in moments], seed=place)
        print(name, *done[-4:], sep="\n  ", flush=True)
    lost = sorted(each.lost_seconds for each in done)
    print(f"{len(done)} kills; lost at most {lost[-1]:.2f} s, in the middle {lost[len(lost) // 2]:.2f} s;")
    print(f"a server's processes were gone within {max(each.gone_seconds for each in done):.1f} s")
    assert len(done) == 20
    assert lost[-1] <= MOST_LOST_SECONDS
    assert max(each.gone_seconds for each in done) <= GONE_SECONDS
