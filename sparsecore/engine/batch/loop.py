"""Train several runs as one batch; each yields the events of `training.loop.train`."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparsecore.engine.batch.grouping import fits
from sparsecore.engine.batch.stack import Stack, part
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.endings import Ending
from sparsecore.engine.training.events import Checkpoint, Command, Event, Record
from sparsecore.engine.training.loop import (
    CHECKPOINT_SECONDS,
    FRAME_SECONDS,
    FRAME_SHARE,
    begin,
    due,
    finish,
    obey,
)
from sparsecore.engine.training.trainer import Training

CHECKPOINT_SHARE = 0.1  # of the time, at most: every run writes one


@dataclass(frozen=True)
class Leave:
    """A command: take this model out of the batch as it is, without an ending."""


Reply = Command | Leave | None
Telling = Generator[tuple[int, Event], Reply, Ending | Leave | None]


def train_many(
    configs: Sequence[RunConfig],
    home: Path | None = None,
    resume: Sequence[Checkpoint | None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Generator[tuple[int, Event], Reply, None]:
    """Train the runs of one group of `batchable`; yields (index in `configs`, event), in each run's order.

    Each run yields the events and takes the commands that it would alone; a command is the reply to its
    `Ready`, and `Leave` is an additional one. Initial weights, data and steps equal those of the run alone,
    weights up to rounding. A run that ends yields its ending at once and delays the others no
    further. Frames are rarer: whenever one is due, the next run in turn yields it. `seconds` of a run is its
    share of the batch's time. A run continues on its own, next to the batch, after a change that no batch
    supports (`keep_alive`, `freeze_at`).

    resume: the checkpoint of each run, from a batch or from training alone; None to start. A batch has no
    other state: after a kill, its runs resume from their checkpoints in any batch.

    >>> events = list(train_many([RunConfig(seed=seed, max_steps=3) for seed in (0, 1)]))
    >>> [(place, event.reason) for place, event in events[-1:]]
    [(1, 'max_steps')]
    """
    running: dict[int, Training] = {}
    for place, config in enumerate(configs):
        saved = None if resume is None else resume[place]
        running[place] = training = Training(config, home)
        if saved is not None:
            training.restore(saved)
    for place, training in running.items():
        is_new = resume is None or resume[place] is None
        yield from _named(place, begin(training, is_new=is_new))
    yield from _Batch(running, clock).train()


def _named(place: int, events: Iterator[Event] | Generator) -> Telling:
    """Pair the events of a run with its index, and pass the replies on."""
    reply: Reply = None
    while True:
        try:
            event = next(events) if reply is None else events.send(reply)
        except StopIteration as done:
            return done.value
        reply = yield place, event
        if isinstance(reply, Leave):
            return reply


class _Batch:
    """The unfinished runs, by index.

    stack: the runs that advance together. alone: the indices of the others. Both are rebuilt before the next
    step when a run has left or was changed.
    """

    def __init__(self, running: dict[int, Training], clock: Callable[[], float]) -> None:
        self.running, self.clock = running, clock
        self.stack: Stack | None = None
        self.alone: list[int] = []
        self.is_arranged = False
        self.shown = dict.fromkeys(running, -math.inf)
        self.next_frame, self.next_checkpoint = clock() + FRAME_SECONDS, clock() + CHECKPOINT_SECONDS

    def train(self) -> Telling:
        """Take steps until every run has ended or left."""
        while True:
            yield from self._listen()
            if not self.running:
                return None
            yield from self._step()
            yield from self._show()

    def _listen(self) -> Telling:
        """Ask every run for a command and carry it out."""
        for place, training in list(self.running.items()):
            before = training.config
            # A run that was cut off after its last checkpoint has its ending already.
            ending = training.ending or (yield from _named(place, obey(training)))
            if ending is not None:
                yield from self._end(place, ending)
            elif training.config is not before:
                self.is_arranged = False
        return None

    def _end(self, place: int, ending: Ending | Leave) -> Telling:
        training = self.running.pop(place)
        self.is_arranged = False
        if not isinstance(ending, Leave):
            yield from _named(place, finish(training, ending))
        return None

    def _step(self) -> Telling:
        """Take one step of every run; yield the records and endings that follow."""
        started = self.clock()
        found = self._advance()
        records: list[tuple[int, Record]] = []
        for place, ending in found.items():
            training = self.running[place]
            record, found[place] = training.after_step(ending)
            if record is not None:
                records.append((place, record))
        share = (self.clock() - started) / len(found)
        for place in found:
            self.running[place].seconds += share
        yield from records
        for place, ending in found.items():
            if ending is not None:
                yield from self._end(place, ending)
        return None

    def _advance(self) -> dict[int, Ending | None]:
        if not self.is_arranged:
            self._arrange()
        found = {} if self.stack is None else self.stack.advance()
        return found | {place: self.running[place].advance() for place in self.alone}

    def _arrange(self) -> None:
        together = {place: training for place, training in self.running.items() if fits(training.config)}
        self.alone = [place for place in self.running if place not in together]
        for place in self.alone:
            part(self.running[place])
        self.stack = Stack(together) if together else None
        self.is_arranged = True

    def _show(self) -> Telling:
        """Yield the due frame, of the run with the oldest one, and the due checkpoints of all runs."""
        now = self.clock()
        if self.running and now >= self.next_frame:
            place = min(self.running, key=self.shown.__getitem__)
            self.shown[place] = now
            yield place, self.running[place].frame()
            self.next_frame = due(self.clock(), now, FRAME_SECONDS, FRAME_SHARE)
        if self.running and now >= self.next_checkpoint:
            began = self.clock()
            for place, training in self.running.items():
                yield place, training.checkpoint()
            self.next_checkpoint = due(self.clock(), began, CHECKPOINT_SECONDS, CHECKPOINT_SHARE)
        return None
