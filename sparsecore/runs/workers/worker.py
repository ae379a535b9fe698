"""The worker: trains one run, writes its log and obeys the commands in the store."""

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
from sparsecore.engine.training.blobs import decode, pieces
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
from sparsecore.runs.store.errors import TEMPORARY, LostRun, StoreError
from sparsecore.runs.store.limits import PROCESS, needed, require_memory, require_steps
from sparsecore.runs.store.log import LogEntry
from sparsecore.runs.store.run import Run
from sparsecore.runs.store.saved_state import StateFiles, tidy
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.assignments import send_heartbeats

POLL_SECONDS = 0.05  # between two looks for commands
FLUSH_SECONDS = 0.5  # records wait at most this long to share the transaction of a frame
RETRY_SECONDS = 1.0  # between two attempts while the store cannot be written to
SAVE_SHARE = 0.1  # the largest share of the time for saving large checkpoints to the store
PAUSE_HOLD_SECONDS = 60.0  # a paused run keeps its process this long, so that single steps are quick


logger = logging.getLogger(__name__)


class Worker:
    """Trains one run in this process. While the store cannot be written to, the training waits.

    gone: set when the server has ended; the run is saved and queued again.
    on_event: called with every event of the training, for a progress bar.
    on_store_error: called with a new error of the store.
    """

    flush_seconds = FLUSH_SECONDS

    def __init__(
        self,
        store: Store,
        run: Run,
        name: str,
        gone: threading.Event | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
        on_store_error: Callable[[StoreError], None] = lambda error: logger.warning("Worker: %s", error),
    ) -> None:
        self.store, self.run, self.name = store, run, name
        self.on_event, self.on_store_error = on_event, on_store_error
        self.gone = gone or threading.Event()
        self.done = threading.Event()
        self.step = run.step
        self.paused = run.state == "paused"
        self.paused_at = self.flushed = time.monotonic()
        self.polled = -math.inf  # commands before the first step apply from the first step
        self.steps_allowed = 0
        self.release_requested = self.leaving = self.released = False
        self.replies: deque[Command] = deque()
        self.pending: list[LogEntry] = []
        self.state_files = StateFiles(store, run.id)
        self.in_file = False  # whether the newest checkpoint is in a state file, not in the store
        self.save_requested = True  # whether the next checkpoint must go to the store
        self.unsaved: Checkpoint | None = None  # to be saved before the next step
        self.next_save = -math.inf

    def work(self) -> Ended | None:
        """Train to the end, to a long pause, or until released; returns the ending, if it was reached.

        Writes an error of the training to the store, and raises it.
        """
        # In a thread of their own: one step may take longer than `LOST_SECONDS`.
        beat = partial(self.store.heartbeat, self.run.id, self.name)
        heartbeats = threading.Thread(target=send_heartbeats, args=(beat, self.done), daemon=True)
        heartbeats.start()
        try:
            return self._train()
        except LostRun:
            return None
        except StoreError:
            raise  # cannot be written; the run is recovered from its checkpoint
        except Exception as error:
            self._retry(self.store.fail, self.run.id, error_sentence(error), self.name)
            self.state_files.remove()
            raise
        finally:
            self.done.set()
            heartbeats.join()

    def _retry(self, act: Callable[..., Any], *given: Any) -> Any:
        """Call `act` until the store works: temporary errors are waited out, unless the server has ended."""
        reported = ""
        while True:
            try:
                return act(*given)
            except StoreError as error:
                if error.kind not in TEMPORARY:
                    raise
                if error.kind != reported:
                    reported = error.kind
                    self.on_store_error(error)
                if self.gone.wait(RETRY_SECONDS):
                    raise

    def _train(self) -> Ended | None:
        resume = self._retry(self._last_checkpoint)
        self._retry(self.store.rewind, self.run.id, self.name, resume.step if resume else -1)
        self._retry(tidy, self.store)
        # Other programs may use the memory by now. What this process takes is allocated already.
        require_memory(self.run.config, needed(self.run.config, self.store.home) - PROCESS)
        events = train(
            self.run.config, self.store.home, resume, copies=False
        )  # each event is written before the next step
        reply: Command | None = None
        while True:
            event = events.send(reply)
            reply = None
            self.on_event(event)
            match event:
                case Ready(step):
                    self.step = step
                    reply = self._reply()
                    if self.released:
                        self.state_files.remove()
                        return None
                case Ended(step, reason, detail, result):
                    self._flush()
                    self._retry(self.store.finish, self.run.id, self.name, step, reason, detail, result)
                    self.state_files.remove()
                    return event
                case _:
                    self._log(event)

    def _last_checkpoint(self) -> Checkpoint | None:
        found, newer = self.store.checkpoint(self.run.id), self.state_files.newest()
        if newer is not None and (found is None or newer.step > found[0]):
            return newer
        return None if found is None else Checkpoint(found[0], *decode(found[1]))

    # -- writing ------------------------------------------------------------------------------------------

    def _log(self, event: Event) -> None:
        match event:
            case Scene():
                require_steps(event.meta["max_steps"])  # a size that plans epochs gives the steps only now
                if not self._retry(self.store.entries, self.run.id, ["scene"]):
                    self._append("scene", 0, event.blob())
            case Record(step, values):
                self._append("record", step, _json(values))
            case Frame(step):
                self._append("frame", step, event.blob())
                self._flush()
            case Checkpoint(step):
                self.step = step
                self._checkpoint(event)
        if self.pending and time.monotonic() - self.flushed > self.flush_seconds:
            self._flush()

    def _checkpoint(self, taken: Checkpoint) -> None:
        """Save to the store; a large checkpoint mostly to a state file, and to the store now and then.

        The log is flushed first, so that it has every row up to the step of the file.
        """
        is_last = taken.meta["ending"] is not None
        if self.save_requested or is_last or not self.state_files.is_large(taken):
            self._save(taken)
            self.save_requested = False
            return
        self._flush()
        self.in_file = self.state_files.write(taken)
        if time.monotonic() >= self.next_save:
            self.unsaved = taken

    def _save(self, taken: Checkpoint) -> None:
        began = time.monotonic()
        self._flush(b"".join(pieces(taken.arrays, taken.meta)))
        self.next_save = due(time.monotonic(), began, CHECKPOINT_SECONDS, SAVE_SHARE)
        self.in_file = False

    def _append(self, kind: str, step: int, payload: bytes) -> None:
        self.step = step
        self.pending.append(LogEntry(kind, step, payload))

    def _flush(self, checkpoint: bytes | None = None) -> None:
        row = (self.run.id, self.name, self.step, self.pending, checkpoint)
        self._retry(partial(self.store.write, *row, saved_in_file=self.in_file))
        self.pending = []
        self.flushed = time.monotonic()

    # -- commands -----------------------------------------------------------------------------------------

    def _reply(self) -> Command | None:
        """The next command for the training; None to take a step. Blocks while paused."""
        if self.unsaved is not None:  # here, where its duration delays no event
            self._save(self.unsaved)
            self.unsaved = None
        if time.monotonic() - self.polled >= POLL_SECONDS:
            self._poll_commands()
        while self.paused and not (self.replies or self.steps_allowed or self.leaving):
            time.sleep(POLL_SECONDS)
            self._poll_commands()
        if self.replies:
            self.save_requested |= isinstance(self.replies[0], Look)
            return self.replies.popleft()
        if self.leaving:
            self.released = True
            self._retry(self.store.release, self.run.id, self.name)
        elif self.steps_allowed:
            self.steps_allowed -= 1
            self.replies.append(Look())
        return None

    def _poll_commands(self) -> None:
        """Turn the commands in the store into replies."""
        self.polled = time.monotonic()
        for kind, values in self._retry(self.store.take_commands, self.run.id):
            match kind:
                case "pause":
                    self._pause()
                case "step":
                    self.steps_allowed += self.paused
                case "stop":
                    self.replies.append(Stop())
                case "release":
                    self.release_requested = True
                case "change":
                    self._append("change", self.step, _json(values))
                    # Saved at once: a command must not be lost with the process.
                    self.replies += [Change(values), Look()]
        if self.paused:
            run = self._retry(self.store.get, self.run.id)
            if run is None or run.worker != self.name:
                raise LostRun(f"run {self.run.id} was taken over by another worker.")
            self.paused = run.state != "running"
        held_too_long = self.paused and self.polled - self.paused_at > PAUSE_HOLD_SECONDS
        if (self.gone.is_set() or self.release_requested or held_too_long) and not self.leaving:
            self.leaving = True
            self.replies.append(Look())

    def _pause(self) -> None:
        self.paused, self.paused_at = True, time.monotonic()
        self._retry(self.store.set_state, self.run.id, self.name, "paused")
        self.replies.append(Look())


def error_sentence(error: Exception) -> str:
    """One sentence for the user."""
    if isinstance(error, ConfigError | CorpusError | ValueError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()


def one_thread() -> None:
    """Compute in one thread: on a busy machine small operations on several threads wait for each other."""
    torch.set_num_threads(1)
    if torch.get_num_interop_threads() != 1:  # it can be set once per process
        torch.set_num_interop_threads(1)
    keep_freed_memory()


def free_memory() -> None:
    """Free the memory of a finished run: reference cycles, and the cache of the device."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def train_one(home: Path | str, run_id: str, name: str, url: str | None = None) -> bool:
    """Claim a queued run and train it in this process, which belongs to a cluster.

    Returns False if another worker claimed it first. Writes an error of the training to the store, and raises
    it.
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
        free_memory()


# -- Freed memory of the C library


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in glibc's malloc.h
KEPT_BYTES = 64 * 2**20  # freed bytes at the end of the heap; more is returned to the system
MAPPED_BYTES = 32 * 2**20  # the largest value that glibc accepts: larger blocks are mapped one by one


def keep_freed_memory() -> bool:
    """Keep up to 64 MiB of freed memory in this process; False if the C library is not glibc.

    A step frees what it allocated. By default glibc returns that to the system, and the page faults of the
    next step, 1,250 of them, cost a quarter of a paper-size step on the spirals.
    """
    if sys.platform != "linux":
        return False
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return adjust is not None and all(
        adjust(name, value) == 1
        for name, value in ((MMAP_THRESHOLD, MAPPED_BYTES), (TRIM_THRESHOLD, KEPT_BYTES))
    )
