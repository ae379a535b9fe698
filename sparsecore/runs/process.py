"""A worker's process: `python -m sparsecore.runs.process HOME` trains one run after another for a supervisor.

It imports torch first, and waits on standard input for the id of a run: the supervisor keeps one such spare
ready, so that a pressed button is answered at once. When that run has ended it waits for another. When
standard input closes, its server is gone: it saves and ends.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import torch

from sparsecore.config import RunConfig
from sparsecore.devices import devices
from sparsecore.projection import project_
from sparsecore.run_in_progress import Training
from sparsecore.runs.store import HEARTBEAT_SECONDS, LostRun, Store
from sparsecore.runs.worker import POLL_SECONDS, Worker, clear, one_thread
from sparsecore.selection_few import FEW
from sparsecore.tasks import TASKS

NICENESS = 5  # pages stay quick while every core trains
LARGE = "vulnerabilities"  # the task whose demo network has more than few weights
LEAVE_SECONDS = 8.0  # after its server is gone a process has so long to save, then it is ended


def _warm_up(home: Path, task: str) -> None:
    """A few steps of a small run, for what torch and jieba load only when they are first used."""
    training = Training(RunConfig.parse({"task": task}), home)
    training.advance()
    training.frame()


def _compile() -> None:
    """Project a little more than few weights: the first time on a machine that takes seconds."""
    weights = torch.linspace(-1.0, 1.0, 2 * FEW)
    masks, counts = [torch.zeros(2 * FEW, dtype=torch.bool)], [torch.zeros(2 * FEW, dtype=torch.int32)]
    done = project_([weights], FEW, masks=masks, counts=counts)
    project_([weights], FEW, masks=masks, counts=counts, last=done.threshold)


def _get_ready(home: Path, ordered: threading.Event) -> None:
    """Load what runs will need, until there is an order."""
    compiling = threading.Thread(target=_compile, daemon=True)
    for task in TASKS:
        if task == LARGE:  # its network needs the compiled loops; the others need not wait for them
            compiling.start()
            while compiling.is_alive() and not ordered.is_set():
                compiling.join(POLL_SECONDS)
        if not ordered.is_set():
            _warm_up(home, task)


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
        self.gone.set()
        self.lines.put(None)
        self.given.set()
        time.sleep(LEAVE_SECONDS)
        os._exit(1)

    def _beat(self, order: Order) -> None:
        while not order.begun.wait(HEARTBEAT_SECONDS):
            try:
                self.store.beat(order.run_id, order.name)
            except LostRun:
                return


def main(home: Path) -> None:
    """A process of the supervisor's: be ready, train one run after another, end when the server is gone."""
    one_thread()
    store = Store(home)
    store.set_setting("devices", devices())
    orders = Orders(store)
    _get_ready(home, orders.given)
    nice = False
    while (order := orders.next()) is not None:
        if not nice and hasattr(os, "nice"):
            os.nice(NICENESS)  # not before: a spare that gets ready slowly keeps the next person waiting
            nice = True
        _carry_out(store, order, orders.gone)


def _carry_out(store: Store, order: Order, gone: threading.Event) -> None:
    """Train a run that was ordered, and leave nothing of it in the process."""
    run = store.get(order.run_id)
    order.begun.set()
    if run is None or run.worker != order.name:
        return
    try:
        Worker(store, run, order.name, gone).work()
    except Exception:  # noqa: BLE001 - the store has its sentence; the trace goes to a file
        logs = store.home / "logs"
        logs.mkdir(exist_ok=True)
        (logs / f"{order.run_id}.txt").write_text(traceback.format_exc(), encoding="utf-8")
        if torch.cuda.is_initialized():
            sys.exit(1)  # a device may be left in a state that would spoil the next run
    finally:
        clear()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
