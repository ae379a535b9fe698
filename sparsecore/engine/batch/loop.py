"""`train_many(configs)`: several runs as one batch, each with the events of `training.loop.train`."""

from __future__ import annotations

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

CHECKPOINT_SHARE = 0.1  # of the time, at most: there are as many to be written as there are runs


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
    """Train runs of one group of `batchable` together: (place in `configs`, event), in each run's order.

    A run tells and obeys what it would alone: a command is the reply to its `Ready`, and `Leave` is one more.
    Initial weights, data and steps are those of the run alone, weights up to rounding. A run that ended is
    told to its end at once and takes no more of the steps of the others. Frames are rarer: one of the runs in
    turn whenever one falls due. `seconds` of a run is its share of the batch's. A change that no batch can
    follow (`keep_alive`, `freeze_at`) lets the run go on by itself beside the others.

    resume: the checkpoint of each run, its own or one that it wrote alone; None to begin. A batch keeps
    nothing else: one that was killed goes on, in any company, from its runs' checkpoints, which come close
    together.

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
    """Events with the place of their run, and the replies to them."""
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
    """The runs that go on, by place.

    stack: those of them that are advanced as one. alone: the places of the others. Both are arranged anew
    before a step once a run has left or was changed.
    """

    def __init__(self, running: dict[int, Training], clock: Callable[[], float]) -> None:
        self.running, self.clock = running, clock
        self.stack: Stack | None = None
        self.alone: list[int] = []
        self.is_arranged = False
        self.shown = dict.fromkeys(running, -math.inf)
        self.next_frame, self.next_checkpoint = clock() + FRAME_SECONDS, clock() + CHECKPOINT_SECONDS

    def train(self) -> Telling:
        """Steps until every run has ended or left."""
        while True:
            yield from self._listen()
            if not self.running:
                return None
            yield from self._step()
            yield from self._show()

    def _listen(self) -> Telling:
        """Let every run obey."""
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
        """One step of every run, and the records and endings that it brings."""
        started = self.clock()
        found = self._advance()
        told: list[tuple[int, Record]] = []
        for place, ending in found.items():
            training = self.running[place]
            record, found[place] = training.after_step(ending)
            if record is not None:
                told.append((place, record))
        share = (self.clock() - started) / len(found)
        for place in found:
            self.running[place].seconds += share
        yield from told
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
        """A frame of the run that was shown longest ago, and checkpoints of all, as they fall due."""
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
