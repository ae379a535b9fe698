"""A class on a real server: what its figures say, and that they are those of a class."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from sparsecore.commands.benchmarks.classroom import DEMO, Plan, classroom, out_of_order
from sparsecore.commands.benchmarks.server import BrowserTabError, Tab, own_home, server, wait_for
from sparsecore.commands.benchmarks.watching import Crowd, live_path
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.run import Run, new_row
from sparsecore.runs.store.store import Store
from tests.robustness.in_a_thread import in_a_thread

PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address and the home of a server that trains one run for a long time."""
    with own_home() as home, server(home) as address:
        yield address, home


def test_a_shared_database_is_left_alone_and_named_again_afterwards(monkeypatch: pytest.MonkeyPatch):
    shared = "postgresql+psycopg://nobody@unreachable.invalid/none"
    monkeypatch.setenv("SPARSECORE_STORE", shared)
    with own_home() as home:
        store = Store(home)
        store.create(RunConfig())
        assert list(home.glob("store.sqlite3"))
        store.close()
    assert os.environ["SPARSECORE_STORE"] == shared
    assert not home.exists()


def begun(owner: str, created: float, started: float | None) -> Run:
    rest = dict.fromkeys(("worker", "ended", "heartbeat", "reason", "detail", "result", "error"))
    row = new_row(RunConfig(), "page", owner) | rest | {"place": 1, "step": 0, "started": started}
    row |= {"created": created, "config": RunConfig()}
    return Run(**{name: row.get(name) for name in Run.__dataclass_fields__})


def test_a_second_turn_before_somebodys_first_is_out_of_order():
    fair = [begun("ann", 0, 10), begun("ann", 0, 30), begun("bob", 1, 20)]
    assert out_of_order(fair) == 0
    unfair = [begun("ann", 0, 10), begun("ann", 0, 20), begun("bob", 1, 30)]
    assert out_of_order(unfair) == 1
    never = [begun("ann", 0, 10), begun("ann", 0, 20), begun("bob", 1, None)]
    assert out_of_order(never) == 1
    late = [begun("ann", 0, 10), begun("ann", 0, 20), begun("bob", 19.9, 30)]
    assert out_of_order(late) == 0


def test_a_tab_has_an_owner_presses_train_and_runs_again(served: tuple[str, Path]):
    address, home = served
    store = Store(home)

    async def use() -> None:
        tab = Tab(address, **DEMO, max_steps=20, seed=3)
        await tab.open()
        await tab.run("do_train")
        (run,) = (each for each in store.list() if each.owner)
        assert (run.config.max_steps, run.config.seed) == (20, 3)
        assert f"run={run.id}" in tab.query
        await tab.run()
        with pytest.raises(BrowserTabError, match="no button 'do_nothing'"):
            await tab.run("do_nothing")
        await tab.close()

    in_a_thread(use())
    store.close()


@pytest.mark.slow
def test_a_viewer_that_does_not_read_gets_fewer_frames_and_holds_no_other_up(served: tuple[str, Path]):
    """One never reads a second message, one takes its time, and the others see every frame."""
    address, home = served
    store = Store(home)
    run = store.create(RunConfig.parse(DEMO | {"max_steps": 10_000_000}))
    wait_for(lambda: len(store.frames(run)) > 3, "the run to begin")
    path = live_path(store, run)

    async def watched() -> tuple[list[int], int]:
        url, origin = f"ws://{address}{path}", f"http://{address}"
        others, slow = Crowd(address, path, 3), Crowd(address, path, 1, slow=True)
        async with others, slow, connect(url, origin=origin, max_size=None, max_queue=1) as mute:
            assert json.loads(await mute.recv())["type"] == "hello"
            async with asyncio.timeout(PATIENCE_SECONDS):
                while min(others.frames) < 40:
                    await asyncio.sleep(0.2)
            return others.frames, slow.frames[0]

    counted, of_slow = in_a_thread(watched())
    assert of_slow < min(counted) / 2
    assert max(counted) - min(counted) <= 3
    store.command(run, "stop")
    wait_for(lambda: not store.get(run).active, "the run to stop")
    store.close()


@pytest.mark.slow
def test_the_figures_of_a_class():
    found = classroom(Plan(30, 30, 6, 3.0, 600, 5.0), lambda *_: None)
    assert found["runs_begun"] == found["runs_requested"] == 35
    assert found["turns_out_of_order"] == 0
    assert found["queued_runs_with_place"] == found["queued_runs_with_wait"] == found["queued_runs_seen"] > 0
    assert found["frames_a_second_least"] >= 2
    assert found["frames_a_second_of_a_slow_viewer"] < found["frames_a_second_least"]
    assert found["interaction_ms_p95"] < 1_000
    assert found["training_ratio"] > 0.85
    assert found["server_growth_MiB"] < 40
