"""A worker process and its server: assignments on standard input, and the end of the server.

Nothing here is slow to import: a process must notice the end of its server while it still loads torch.
"""

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sparsecore.runs.store.errors import LostRun, StoreError
from sparsecore.runs.store.store import HEARTBEAT_SECONDS, Store

LEAVE_SECONDS = 6.0  # to save after the end of the server; then the process is ended


@dataclass(frozen=True)
class Assignment:
    """A run to train, and the worker name under which this process holds it."""

    run_id: str
    name: str
    started: threading.Event = field(default_factory=threading.Event)


def end_with_server(gone: threading.Event) -> None:
    """Set `gone` when standard input is closed, and end the process soon after that."""

    def listen() -> None:
        sys.stdin.read()
        gone.set()
        time.sleep(LEAVE_SECONDS)
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()


def send_heartbeats(beat: Callable[[], Any], done: threading.Event) -> None:
    """Call `beat` until `done` is set or the run is lost; whoever trains it raises other errors too."""
    while not done.wait(HEARTBEAT_SECONDS):
        try:
            beat()
        except LostRun:
            return
        except StoreError:
            continue  # the database may be back before the next step is written


class Assignments:
    """The assignments of this process: lines of a run id and a worker name on standard input.

    Sends heartbeats for a run from its assignment until it is started: a spare process that is still loading
    holds its run already.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lines: queue.SimpleQueue[Assignment | None] = queue.SimpleQueue()
        self.received, self.gone = threading.Event(), threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> Assignment | None:
        """Wait for the next assignment; None after the end of the server."""
        return self.lines.get()

    def _listen(self) -> None:
        """Read assignments until standard input is closed: that is the end of the server."""
        for line in sys.stdin:
            assignment = Assignment(*line.split())
            beat = partial(self.store.heartbeat, assignment.run_id, assignment.name)
            threading.Thread(target=send_heartbeats, args=(beat, assignment.started), daemon=True).start()
            self.lines.put(assignment)
            self.received.set()
        if not self.received.is_set():
            os._exit(0)  # nothing to save, and what it still loads may take longer than LEAVE_SECONDS
        self.gone.set()
        self.lines.put(None)
        time.sleep(LEAVE_SECONDS)
        os._exit(1)
