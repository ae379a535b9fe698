"""When something was, as the reader's language writes it; by the clock of the server."""

from __future__ import annotations

import time

from sparsecore.dashboard.controls import say


def day(seconds: float) -> str:
    """The day of a time since the epoch."""
    at = time.localtime(seconds)
    return say("date.day", year=at.tm_year, month=say(f"date.month.{at.tm_mon}"), day=at.tm_mday)


def minute(seconds: float) -> str:
    """The day and the minute."""
    return f"{day(seconds)} {time.strftime('%H:%M', time.localtime(seconds))}"
