"""What a worker's process loads before its first order, and how it carries an order out."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from pathlib import Path

import torch

from sparsecore.engine.config import RunConfig
from sparsecore.engine.devices import devices
from sparsecore.engine.projection.project import project_
from sparsecore.engine.projection.small import FEW
from sparsecore.engine.tasks.registry import TASKS
from sparsecore.engine.training.trainer import Training
from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.orders import Order, Orders
from sparsecore.runs.workers.worker import POLL_SECONDS, Worker, clear, one_thread

NICENESS = 5  # pages stay quick while every core trains
LARGE = "vulnerabilities"  # the task whose demo network has more than few weights

logger = logging.getLogger(__name__)


def train_orders(store: Store, orders: Orders) -> None:
    """Be ready, then train one run after another until the server is gone."""
    one_thread()
    _tell_devices(store)
    _get_ready(store.home, orders.given)
    nice = False
    while (order := orders.next()) is not None:
        if not nice and hasattr(os, "nice"):
            os.nice(NICENESS)  # not before: a spare that gets ready slowly keeps the next person waiting
            nice = True
        _carry_out(store, order, orders.gone)


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


def _tell_devices(store: Store) -> None:
    """Pages offer the devices that workers have found; without them a run can be trained all the same."""
    try:
        store.set_setting("devices", devices())
    except StoreError as error:
        logger.warning("Worker: %s", error)


def _carry_out(store: Store, order: Order, gone: threading.Event) -> None:
    """Train a run that was ordered, and leave nothing of it in the process."""
    try:
        run = store.get(order.run_id)
        order.begun.set()
        if run is not None and run.worker == order.name:
            Worker(store, run, order.name, gone).work()
    except StoreError as error:
        logger.warning("Run %s is left to be found: %s", order.run_id, error)
    except Exception:  # noqa: BLE001 - the store has its sentence; the trace goes to a file
        _keep_trace(store.home / "logs", order.run_id)
        if torch.cuda.is_initialized():
            sys.exit(1)  # a device may be left in a state that would spoil the next run
    finally:
        order.begun.set()
        clear()


def _keep_trace(folder: Path, run_id: str) -> None:
    try:
        folder.mkdir(exist_ok=True)
        (folder / f"{run_id}.txt").write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:  # a full disk may be what went wrong
        logger.exception("The trace of run %s cannot be kept in %s.", run_id, folder)
