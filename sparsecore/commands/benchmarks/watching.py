"""The cost of a viewer of every frame for training: `python -m sparsecore bench watching`."""

from __future__ import annotations

import math
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from sparsecore.commands.benchmarks.own_home import own_home
from sparsecore.dashboard.server.live_route import tokens
from sparsecore.engine.config import RunConfig
from sparsecore.runs.store.store import Store
from sparsecore.settings import APP, child_environment

START_SECONDS = 60.0


def watching(size: str = "paper", pairs: int = 30, window: float = 2.0) -> dict[str, Any]:
    """Compare steps per second with a viewer who reads every frame with those without.

    One run trains on a new server; windows of `window` seconds with and without the viewer alternate, so that
    other load on the machine affects both. The ratio is the geometric mean over the pairs, with its 95 %
    interval.
    """
    with own_home() as home, server(home) as address:
        store = Store(home)
        config = RunConfig.parse({"task": "sinc", "size": size, "theta": 0.0, "max_steps": 10_000_000})
        run_id = store.create(config)
        wait_for(lambda: len(store.frames(run_id)) > 20, "the run to begin")
        speeds: dict[bool, list[float]] = {False: [], True: []}
        frames = 0
        for pair in range(pairs):
            for watched in (False, True) if pair % 2 else (True, False):
                speed, seen = _window(store, run_id, address, watched, window)
                speeds[watched].append(speed)
                frames += seen
        store.command(run_id, "stop")
        wait_for(lambda: not store.get(run_id).active, "the run to stop")
        store.close()
    logs = [math.log(w / a) for w, a in zip(speeds[True], speeds[False], strict=True)]
    middle, margin = statistics.mean(logs), 1.96 * statistics.stdev(logs) / math.sqrt(pairs)
    return {
        "size": size,
        "pairs": pairs,
        "seconds_a_window": window,
        "steps_a_second_alone": statistics.median(speeds[False]),
        "steps_a_second_watched": statistics.median(speeds[True]),
        "ratio": math.exp(middle),
        "ratio_95_percent": [math.exp(middle - margin), math.exp(middle + margin)],
        "frames_a_second": frames / (pairs * window),
    }


def _window(store: Store, run_id: str, address: str, watched: bool, seconds: float) -> tuple[float, int]:
    """Return the steps per second over a window, and the frames that the viewer received."""
    counted = [0]
    with _viewer(store, run_id, address, counted) if watched else _nobody():
        time.sleep(0.5)  # a new viewer receives the history, which is not measured
        counted[0] = 0
        begun, first = time.perf_counter(), store.get(run_id).step
        time.sleep(seconds)
        last, ended = store.get(run_id).step, time.perf_counter()
    return (last - first) / (ended - begun), counted[0]


@contextmanager
def _nobody() -> Iterator[None]:
    yield


@contextmanager
def _viewer(store: Store, run_id: str, address: str, counted: list[int]) -> Iterator[None]:
    url = f"ws://{address}/live/{run_id}?token={tokens(store).issue(run_id)}"
    with connect(url, origin=f"http://{address}", max_size=None) as viewer:
        reading = threading.Thread(target=_read, args=(viewer, counted), daemon=True)
        reading.start()
        yield
    reading.join()


def _read(viewer: ClientConnection, counted: list[int]) -> None:
    try:
        for message in viewer:
            counted[0] += isinstance(message, bytes)
    except ConnectionClosed:
        return


@contextmanager
def server(home: Path) -> Iterator[str]:
    """Run the dashboard on a free port with its own store; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(APP),
        "--server.port",
        address.rpartition(":")[2],
    ]
    environment = child_environment(home, store="")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, **quiet) as process:
        try:
            wait_for(lambda: _answers(address), "the server to start")
            yield address
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        with connect(f"ws://{address}/live/none", open_timeout=1):
            return True
    except WebSocketException:
        return True  # it refuses this connection, so it is running
    except OSError:
        return False


def wait_for(done: Any, what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {START_SECONDS:.0f} s for {what}.")
        time.sleep(0.1)
