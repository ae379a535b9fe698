"""Work on a person's file or text beside the page: it can be watched, and given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from functools import cache
from typing import Any

AT_ONCE = 2  # for all sessions of a server together: a class of thirty must not stop its pages
QUICK_SECONDS = 0.5  # what is done by then needs no progress bar


class Reading:
    """One piece of work in a thread: `work(progress=…, cancelled=…)`, begun when its turn comes.

    >>> reading = Reading(lambda progress, cancelled: progress(1, 2))
    >>> reading.result()
    >>> reading.share, reading.done
    (0.5, True)
    """

    def __init__(self, work: Callable[..., Any]) -> None:
        self.share = 0.0
        self._given_up = threading.Event()
        self._future: Future = _threads().submit(work, progress=self._tell, cancelled=self._given_up.is_set)

    def _tell(self, read: int, total: int) -> None:
        self.share = min(1.0, read / total) if total else 1.0

    @property
    def done(self) -> bool:
        """Whether there is a result, or what went wrong."""
        return self._future.done()

    def soon(self) -> bool:
        """Wait for the time that needs no progress bar; whether it is done."""
        try:
            self._future.exception(QUICK_SECONDS)
        except NotYet:
            return False
        return True

    def cancel(self) -> None:
        """Give it up: work that has not begun never does, other work ends at its next look."""
        self._given_up.set()
        self._future.cancel()

    def result(self) -> Any:
        """What the work gave; waits for it, and raises what it raised."""
        return self._future.result()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reading")
