"""A server as a process of its own, to be killed: how it is started, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparsecore.runs.workers.warm_up import NICENESS

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 300.0  # two busy cores share servers, workers and other programs
# The lifespan of the real app, without the port and the pages of `streamlit run app.py`.
SERVE = """
import asyncio, app

async def serve():
    async with app.lifespan(app.app):
        print("serving", flush=True)
        await asyncio.Event().wait()

asyncio.run(serve())
"""


def soon(condition: Callable[[], Any], what: str = "it") -> Any:
    """What the condition gives, as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} never came true"
        time.sleep(0.01)
    return found


def serve(home: Path) -> subprocess.Popen:
    """A process that runs the app's lifespan on this home: supervisor, workers, all but the pages."""
    environment = os.environ | {"SPARSECORE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    with (home / "server.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE], env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=log
        )
    if b"serving\n" not in process.stdout:  # reads up to it, past what a server says at its start
        process.wait()
        raise AssertionError(f"the server did not start:\n{(home / 'server.log').read_text()}")
    return process


def kill(pid: int) -> None:
    """`kill -9`; one that has ended by itself meanwhile is as good."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def workers(home: Path) -> list[int]:
    """The processes that train for this home, or are ready to."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        if str(home).encode() in command and b"-m" in command:  # one that is dead has no command
            found.append(int(folder.name))
    return found


def trainers(home: Path) -> list[int]:
    """Of the workers those that were given a run: with the first one a process makes itself nice."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    found = []
    for pid in workers(home):
        try:
            niceness = os.getpriority(os.PRIO_PROCESS, pid)
        except ProcessLookupError:
            continue
        if niceness >= min(19, usual + NICENESS):
            found.append(pid)
    return found
