"""`train(config)`: one run as a generator of events. It reads no file but kept texts and writes nothing."""

import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.endings import Ending
from sparsecore.engine.training.events import (
    Change,
    Checkpoint,
    Command,
    Ended,
    Event,
    Look,
    Ready,
    Scene,
    Stop,
)
from sparsecore.engine.training.trainer import Training

FRAME_SECONDS = 0.1  # at most ten frames a second
FRAME_SHARE = 0.03  # and frames never take more than this share of the time, looked at or not
CHECKPOINT_SECONDS = 1.25  # a crash loses at most 2 s of training, writing included,
CHECKPOINT_SHARE = 0.25  # and more where they are taken for longer than this share of the time


def train(
    config: RunConfig,
    home: Path | None = None,
    resume: Checkpoint | None = None,
    clock: Callable[[], float] = time.perf_counter,
    *,
    copies: bool = True,
) -> Generator[Event, Command | None, None]:
    """Train and tell: a scene, then records, frames and checkpoints as they fall due, then the end.

    Not calling it is a pause. A command may be sent in reply to a `Ready`, which comes before every step;
    what it causes (a frame, a checkpoint) follows, and then another `Ready` for the next command. Without
    `copies` a checkpoint's arrays hold what they should until the next step alone.

    >>> events = list(train(RunConfig(task="sinc", max_steps=3)))
    >>> events[-1].reason, events[-1].result["steps"]
    ('max_steps', 3)
    """
    training = Training(config, home)
    training.copies = copies
    if resume is not None:
        training.restore(resume)
    yield from begin(training, is_new=resume is None)
    yield from _loop(training, clock)


def begin(training: Training, *, is_new: bool) -> Iterator[Event]:
    """Yield the events before the first step."""
    arrays, meta = training.task.scene()
    yield Scene(arrays, meta | {"max_steps": training.config.max_steps})
    yield training.frame()
    if is_new:
        yield training.record()[0]


def _loop(training: Training, clock: Callable[[], float]) -> Generator[Event, Command | None, None]:
    next_frame, next_checkpoint = clock() + FRAME_SECONDS, clock() + CHECKPOINT_SECONDS
    # A run that was cut off after its last checkpoint has its ending already.
    while (ending := training.ending or (yield from obey(training))) is None:
        started = clock()
        record, ending = training.after_step(training.advance())
        if record is not None:
            yield record
        now = clock()
        training.seconds += now - started
        if ending is not None:
            break
        if now >= next_frame:
            yield training.frame()
            next_frame = due(clock(), now, FRAME_SECONDS, FRAME_SHARE)
        if now + (now - started) >= next_checkpoint:  # another step as long would end after it
            began = clock()
            yield training.checkpoint()
            next_checkpoint = due(clock(), began, CHECKPOINT_SECONDS, CHECKPOINT_SHARE)
    yield from finish(training, ending)


def due(now: float, began: float, seconds: float, share: float) -> float:
    """When to do again what has taken from `began` to `now`, so that it takes no more of the time."""
    return now + max(seconds, (now - began) * (1 / share - 1))


def obey(training: Training) -> Generator[Event, Command | None, Ending | None]:
    """Carry out commands until there are none; the ending if one of them was to stop."""
    while (command := (yield Ready(training.step))) is not None:
        match command:
            case Stop():
                return "stopped", {}
            case Change(values):
                training.change(values)
            case Look():
                yield training.frame()
                yield training.checkpoint()
    return None


def finish(training: Training, ending: Ending) -> Generator[Event, Command | None, None]:
    """Tell a run to its end: the last record and frame, the checkpoint, the ending."""
    if not training.is_recorded:
        yield training.record()[0]
    result = training.result()
    training.measured, training.ending = result["metrics"], ending
    yield training.frame()
    yield training.checkpoint()
    reason, detail = ending
    yield Ended(training.step, reason, detail, result)
