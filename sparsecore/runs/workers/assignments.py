"""What a process of a server's hears from it: orders to train, and that the server is no more.

Nothing here is slow to import: a process has to hear the end of its server while it still loads torch.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from dataclasses import dataclass, field

from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.store import HEARTBEAT_SECONDS, LostRun, Store

LEAVE_SECONDS = 6.0  # after its server is gone a process has so long to save, then it is ended


@dataclass(frozen=True)
class Order:
    """A run to train, and the name under which this process holds it."""

    run_id: str
    name: str
    begun: threading.Event = field(default_factory=threading.Event)


def end_with_server(gone: threading.Event) -> None:
    """Set `gone` when the other end of standard input is let go; soon after that the process is ended."""

    def listen() -> None:
        sys.stdin.read()
        gone.set()
        time.sleep(LEAVE_SECONDS)
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()


class Orders:
    """What a process is told to train: lines on standard input, each a run and a name.

    Beats for a run from the moment its order comes until it is begun: a spare that is still loading has its
    run already, and is not dead.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lines: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self.given, self.gone = threading.Event(), threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> Order | None:
        """The next one, as soon as there is one; None when the server is no more."""
        return self.lines.get()

    def _listen(self) -> None:
        """Take orders; when the other end is let go, the server is no more."""
        for line in sys.stdin:
            order = Order(*line.split())
            threading.Thread(target=self._beat, args=(order,), daemon=True).start()
            self.lines.put(order)
            self.given.set()
        if not self.given.is_set():
            os._exit(0)  # it may be loading what takes longer than it may stay, and has nothing to save
        self.gone.set()
        self.lines.put(None)
        time.sleep(LEAVE_SECONDS)
        os._exit(1)

    def _beat(self, order: Order) -> None:
        while not order.begun.wait(HEARTBEAT_SECONDS):
            try:
                self.store.heartbeat(order.run_id, order.name)
            except LostRun:
                return
            except StoreError:
                continue  # the run is begun, and says so, when the database is back
