"""The worker: trains one run and writes its log, obeying the commands that the store holds for it."""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sparsecore.corpora.corpus import CorpusError
from sparsecore.engine.config import ConfigError
from sparsecore.engine.tasks.memory import PROCESS, needed
from sparsecore.engine.training.events import (
    Change,
    Checkpoint,
    Command,
    Ended,
    Event,
    Frame,
    Look,
    Ready,
    Record,
    Scene,
    Stop,
)
from sparsecore.engine.training.loop import CHECKPOINT_SECONDS, due, train
from sparsecore.runs.store.blobs import decode, encode, pieces
from sparsecore.runs.store.errors import StoreError
from sparsecore.runs.store.limits import require_memory, require_steps
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.store import HEARTBEAT_SECONDS, LostRun, Store
from sparsecore.runs.store.unsaved import StateFiles, tidy

POLL_SECONDS = 0.05  # how often commands are looked for
FLUSH_SECONDS = 0.5  # records wait for a frame to share its transaction, but not longer
RETRY_SECONDS = 1.0  # while the store cannot be written to
SAVE_SHARE = 0.1  # large states are written to the store for no more of the time
PAUSE_HOLD_SECONDS = 60.0  # a paused run keeps its process so long, for quick steps


logger = logging.getLogger(__name__)


class Worker:
    """One run being trained by this process. While its store cannot be written to, the training waits.

    gone: set when the run is to be let go (the server has ended): it is saved and queued again.
    listen: called with every event, for a progress bar.
    complain: called with what is wrong with the store whenever it is something else than before.
    """

    flush_seconds = FLUSH_SECONDS

    def __init__(
        self,
        store: Store,
        run: Run,
        name: str,
        gone: threading.Event | None = None,
        listen: Callable[[Event], None] = lambda event: None,
        complain: Callable[[StoreError], None] = lambda error: logger.warning("Worker: %s", error),
    ) -> None:
        self.store, self.run, self.name = store, run, name
        self.listen, self.complain = listen, complain
        self.gone = gone or threading.Event()
        self.done = threading.Event()
        self.step = run.step
        self.paused = run.state == "paused"
        self.paused_at = self.flushed = time.monotonic()
        self.polled = -math.inf  # commands given before the first step hold from the first step
        self.steps_allowed = 0
        self.let_go = self.leaving = self.released = False
        self.replies: deque[Command] = deque()
        self.pending: list[LogEntry] = []
        self.beside = StateFiles(store, run.id)
        self.is_kept = False  # whether the newest state is in a file, and not in the store
        self.is_asked = True  # whether somebody waits for the next checkpoint to be in the store
        self.unsaved: Checkpoint | None = None  # it is written before the next step
        self.next_save = -math.inf

    def work(self) -> Ended | None:
        """Train to the end, to a long pause, or until told to let go; the ending, if one was reached.

        What makes the run impossible is raised, after the store was told.
        """
        beating = threading.Thread(target=self._beat, daemon=True)
        beating.start()
        try:
            return self._train()
        except LostRun:
            return None
        except StoreError:
            raise  # nobody can be told; the run goes on from its checkpoint when it is missed
        except Exception as error:
            self._sure(self.store.fail, self.run.id, sentence(error), self.name)
            self.beside.remove()
            raise
        finally:
            self.done.set()
            beating.join()

    def _beat(self) -> None:
        """Heartbeats from a thread of their own: one step may take longer than the store's patience."""
        while not self.done.wait(HEARTBEAT_SECONDS):
            try:
                self.store.heartbeat(self.run.id, self.name)
            except LostRun:
                return
            except StoreError:
                continue  # the training meets it too, unless the database is back by then

    def _sure(self, act: Callable[..., Any], *given: Any) -> Any:
        """Do it as soon as the store can be used, and wait until then, for that passes; not once let go."""
        told = ""
        while True:
            try:
                return act(*given)
            except StoreError as error:
                if not error.is_temporary:
                    raise
                if error.kind != told:
                    told = error.kind
                    self.complain(error)
                if self.gone.wait(RETRY_SECONDS):
                    raise

    def _train(self) -> Ended | None:
        resume = self._sure(self._last_checkpoint)
        self._sure(self.store.rewind, self.run.id, self.name, resume.step if resume else -1)
        self._sure(tidy, self.store)
        # Others may have taken the memory since the run was asked for; this process has its own part already.
        require_memory(self.run.config, needed(self.run.config, self.store.home) - PROCESS)
        events = train(self.run.config, self.store.home, resume, copies=False)  # written before the next step
        reply: Command | None = None
        while True:
            event = events.send(reply)
            reply = None
            self.listen(event)
            match event:
                case Ready(step):
                    self.step = step
                    reply = self._reply()
                    if self.released:
                        self.beside.remove()
                        return None
                case Ended(step, reason, detail, result):
                    self._flush()
                    self._sure(self.store.finish, self.run.id, self.name, step, reason, detail, result)
                    self.beside.remove()
                    return event
                case _:
                    self._log(event)

    def _last_checkpoint(self) -> Checkpoint | None:
        found, kept = self.store.checkpoint(self.run.id), self.beside.newest()
        if kept is not None and (found is None or kept.step > found[0]):
            return kept
        return None if found is None else Checkpoint(found[0], *decode(found[1]))

    # -- what is written ----------------------------------------------------------------------------------

    def _log(self, event: Event) -> None:
        match event:
            case Scene(arrays, meta):
                require_steps(meta["max_steps"])  # where the size plans them, they are known only now
                if not self._sure(self.store.entries, self.run.id, ["scene"]):
                    self._append("scene", 0, encode(arrays, meta | {"type": "scene"}))
            case Record(step, values):
                self._append("record", step, _json(values))
            case Frame(step, arrays, meta):
                self._append("frame", step, encode(arrays, meta | {"type": "frame"}))
                self._flush()
            case Checkpoint(step):
                self.step = step
                self._checkpoint(event)
        if self.pending and time.monotonic() - self.flushed > self.flush_seconds:
            self._flush()

    def _checkpoint(self, taken: Checkpoint) -> None:
        """To the store; a large one that nobody asked for to a file, and to the store now and then.

        The log is written before: whoever goes on from the file finds every row up to its step.
        """
        is_last = taken.meta["ending"] is not None
        if self.is_asked or is_last or not self.beside.is_large(taken):
            self._save(taken)
            self.is_asked = False
            return
        self._flush()
        self.is_kept = self.beside.write(taken)
        if time.monotonic() >= self.next_save:
            self.unsaved = taken

    def _save(self, taken: Checkpoint) -> None:
        began = time.monotonic()
        self._flush(b"".join(pieces(taken.arrays, taken.meta)))
        self.next_save = due(time.monotonic(), began, CHECKPOINT_SECONDS, SAVE_SHARE)
        self.is_kept = False

    def _append(self, kind: str, step: int, payload: bytes) -> None:
        self.step = step
        self.pending.append(LogEntry(kind, step, payload))

    def _flush(self, checkpoint: bytes | None = None) -> None:
        row = (self.run.id, self.name, self.step, self.pending, checkpoint)
        self._sure(partial(self.store.write, *row, saved_in_file=self.is_kept))
        self.pending = []
        self.flushed = time.monotonic()

    # -- what is obeyed -----------------------------------------------------------------------------------

    def _reply(self) -> Command | None:
        """The next command for the training; None to take a step. Waits here while paused."""
        if self.unsaved is not None:  # not when it was taken: how long this takes puts no other off
            self._save(self.unsaved)
            self.unsaved = None
        if time.monotonic() - self.polled >= POLL_SECONDS:
            self._hear()
        while self.paused and not (self.replies or self.steps_allowed or self.leaving):
            time.sleep(POLL_SECONDS)
            self._hear()
        if self.replies:
            self.is_asked |= isinstance(self.replies[0], Look)
            return self.replies.popleft()
        if self.leaving:
            self.released = True
            self._sure(self.store.release, self.run.id, self.name)
        elif self.steps_allowed:
            self.steps_allowed -= 1
            self.replies.append(Look())
        return None

    def _hear(self) -> None:
        """Turn what the store holds for this run into replies."""
        self.polled = time.monotonic()
        for kind, values in self._sure(self.store.take_commands, self.run.id):
            match kind:
                case "pause":
                    self._pause()
                case "step":
                    self.steps_allowed += self.paused
                case "stop":
                    self.replies.append(Stop())
                case "release":
                    self.let_go = True
                case "change":
                    self._append("change", self.step, _json(values))
                    # Saved at once: a command that was taken is never lost with the process.
                    self.replies += [Change(values), Look()]
        if self.paused:
            run = self._sure(self.store.get, self.run.id)
            if run is None or run.worker != self.name:
                raise LostRun(f"run {self.run.id} was taken over.")
            self.paused = run.state != "running"
        held_too_long = self.paused and self.polled - self.paused_at > PAUSE_HOLD_SECONDS
        if (self.gone.is_set() or self.let_go or held_too_long) and not self.leaving:
            self.leaving = True
            self.replies.append(Look())

    def _pause(self) -> None:
        self.paused, self.paused_at = True, time.monotonic()
        self._sure(self.store.set_state, self.run.id, self.name, "paused")
        self.replies.append(Look())


def sentence(error: Exception) -> str:
    """An error as one sentence for people."""
    if isinstance(error, ConfigError | CorpusError | ValueError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()


def one_thread() -> None:
    """One thread a worker: several small operations on many threads wait for each other (DESIGN)."""
    torch.set_num_threads(1)
    if torch.get_num_interop_threads() != 1:  # it may be set once a process
        torch.set_num_interop_threads(1)
    keep_freed_memory()


def clear() -> None:
    """Free what a run left: cycles of modules and hooks, and a device's cached memory."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def train_one(home: Path | str, run_id: str, name: str, url: str | None = None) -> bool:
    """Claim a queued run for the worker of this name and train it in this process, with one thread.

    What a cluster's process runs. False when the run is no longer to be had. What makes the run impossible
    is raised, after the store was told.
    """
    one_thread()
    store = Store(Path(home), url)
    try:
        if not store.claim(run_id, name):
            return False
        Worker(store, store.get(run_id), name).work()
        return True
    finally:
        store.close()
        clear()


# -- What the C library does with freed memory: a training process keeps it for its next step


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # the names of glibc's malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
KEPT_BYTES = 64 * 2**20  # of freed memory at the heap's end; more is given back
MAPPED_BYTES = 32 * 2**20  # the largest that glibc takes: blocks from this size on are mapped one by one


def keep_freed_memory() -> bool:
    """Let freed memory stay with this process, up to 64 MiB of it; False where the C library is not glibc.

    A step frees what it allocated. By default glibc gives that back to the system, whose fresh pages then
    cost a quarter of a paper-size step on the spirals: 1,250 page faults each.
    """
    if sys.platform != "linux":
        return False
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return adjust is not None and all(
        adjust(name, value) == 1
        for name, value in ((MMAP_THRESHOLD, MAPPED_BYTES), (TRIM_THRESHOLD, KEPT_BYTES))
    )
