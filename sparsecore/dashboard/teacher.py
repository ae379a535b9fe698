"""The teacher's password: compared in constant time, with a limit on attempts."""

from __future__ import annotations

import hmac
import threading
import time
from collections import deque
from functools import cache
from typing import Literal

from sparsecore.settings import read_setting

WITHIN_SECONDS = 60.0
TRIES = 5  # of one person within that time,
TRIES_OF_ALL = 30  # and of all together: a new cookie is easily had
Answer = Literal["right", "wrong", "wait"]


class Door:
    """Checks the password; without one it admits no one."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._failed: deque[tuple[float, str]] = deque()
        self._turn = threading.Lock()

    @property
    def exists(self) -> bool:
        return bool(self._password)

    def knock(self, who: str, password: str) -> Answer:
        """Whether the password is right; "wait" after too many wrong attempts."""
        with self._turn:
            now = time.monotonic()
            while self._failed and now - self._failed[0][0] > WITHIN_SECONDS:
                self._failed.popleft()
            own = sum(name == who for _, name in self._failed)
            if own >= TRIES or len(self._failed) >= TRIES_OF_ALL:
                return "wait"
            if self.exists and hmac.compare_digest(password.encode(), self._password):
                return "right"
            self._failed.append((now, who))
            return "wrong"


@cache
def door() -> Door:
    """Return the check of this server, with the password of its environment."""
    return Door(read_setting("teacher_password"))
