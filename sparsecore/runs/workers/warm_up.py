"""Warm up a worker process before its first assignment, and train its assignments."""

import logging
import os
import sys
import threading
import traceback
from pathlib import Path

import torch

from sparsecore.engine.cards import CardError, TaskCard, tasks
from sparsecore.engine.config import RunConfig
from sparsecore.engine.devices import devices
from sparsecore.engine.projection.small import FEW
from sparsecore.engine.training.trainer import Training
from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.assignments import Assignment, Assignments
from sparsecore.runs.workers.worker import POLL_SECONDS, Worker, free_memory, one_thread

NICENESS = 5  # pages stay responsive while every core trains

logger = logging.getLogger(__name__)


def train_assigned(store: Store, assignments: Assignments) -> None:
    """Warm up, then train one run after another until the server has ended."""
    one_thread()
    _publish_devices(store)
    _load(store.home, assignments.received)
    nice = False
    while (assignment := assignments.next()) is not None:
        if not nice and hasattr(os, "nice"):
            os.nice(NICENESS)  # not before: a spare that warms up slowly keeps the next user waiting
            nice = True
        _train_one(store, assignment, assignments.gone)


def _warm_up(home: Path, task: str) -> None:
    """Take a few steps of a small run: torch and jieba load much only at first use."""
    training = Training(RunConfig.parse({"task": task}), home)
    training.advance()
    training.frame()


def _prepare_projection() -> None:
    from sparsecore.engine.projection.cpu import prepare  # numba takes half a second to import

    prepare()


def _load(home: Path, assigned: threading.Event) -> None:
    """Load what runs need, until there is an assignment."""
    compiling = threading.Thread(target=_prepare_projection, daemon=True)
    cards = [card for card in tasks().values() if card.warm_up]
    for card in sorted(cards, key=_first_weights):
        if _first_weights(card) > FEW and not compiling.ident:  # a smaller network needs no compiled loops
            compiling.start()
            while compiling.is_alive() and not assigned.is_set():
                compiling.join(POLL_SECONDS)
        if not assigned.is_set():
            try:
                _warm_up(home, card.name)
            except CardError as error:  # runs of it will fail with the same sentence; others need not
                logger.warning("Worker: %s", error)


def _first_weights(card: TaskCard) -> int:
    return next(iter(card.sizes.values())).weights


def _publish_devices(store: Store) -> None:
    """Write the devices of this machine to the store, for the pages to offer."""
    try:
        store.set_setting("devices", devices())
    except StoreError as error:
        logger.warning("Worker: %s", error)


def _train_one(store: Store, assignment: Assignment, gone: threading.Event) -> None:
    """Train an assigned run, and free its memory."""
    try:
        run = store.get(assignment.run_id)
        assignment.started.set()
        if run is not None and run.worker == assignment.name:
            Worker(store, run, assignment.name, gone).work()
    except StoreError as error:
        logger.warning("Run %s will be recovered later: %s", assignment.run_id, error)
    except Exception:  # noqa: BLE001 - the store has the sentence; a file gets the traceback
        _keep_trace(store.home / "logs", assignment.run_id)
        if torch.cuda.is_initialized():
            sys.exit(1)  # the device may be in a state that would break the next run
    finally:
        assignment.started.set()
        free_memory()


def _keep_trace(folder: Path, run_id: str) -> None:
    try:
        folder.mkdir(exist_ok=True)
        (folder / f"{run_id}.txt").write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:  # a full disk may be what went wrong
        logger.exception("The traceback of run %s cannot be written to %s.", run_id, folder)
