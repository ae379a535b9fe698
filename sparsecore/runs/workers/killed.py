"""Runs whose command was killed: whatever command comes next queues them again, as a server does for its own.

A server knows the processes that it has started. Of a command only the number of its process is known, by the
name under which it trains.
"""

from __future__ import annotations

import os

import psutil

from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import Store

COMMAND = "cli:"  # how the names of commands that train begin
WHY = "the command that trained it was killed, again and again."


def name_of_this() -> str:
    """The name under which the command of this process trains."""
    return f"{COMMAND}{os.getpid()}"


def killed(store: Store) -> list[Run]:
    """The runs of commands that are no more.

    A command is no more when its heartbeat is old and this machine has no such process: one that is only
    suspended keeps its run.
    """
    return [run for run in store.lost() if run.worker.startswith(COMMAND) and not _is_there(run.worker)]


def _is_there(name: str) -> bool:
    number = name.removeprefix(COMMAND)
    return number.isdecimal() and psutil.pid_exists(int(number))
