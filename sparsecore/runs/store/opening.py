"""The database of a store: opened when it is first needed, anew when it had to be, and what ails it."""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from sparsecore.runs.store.database import clock, database_url, is_shared, open_database, try_writing
from sparsecore.runs.store.errors import REOPENED, StoreError
from sparsecore.settings import default_home

TOLD_SECONDS = 15.0  # what is wrong is told for so long after it was last met


class Opening:
    """The home folder and the database of a store. Raises StoreError where the folder cannot be made."""

    def __init__(self, home: Path | None = None, url: str | None = None) -> None:
        self.home = home or default_home()
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError.of_kind("readonly", str(self.home)) from error
        self.url = database_url(self.home, url)
        self._met: StoreError | None = None
        self._met_at = 0.0

    @cached_property
    def engine(self) -> Engine:
        return open_database(self.url, self._meet)

    def close(self) -> None:
        """Let go of the database's files, or of its connections."""
        if "engine" in self.__dict__:  # not to open what never was
            self.engine.dispose()

    def _now(self) -> Any:
        return clock(self.engine)

    def _meet(self, error: StoreError) -> None:
        """Remember what is wrong; a file that has to be opened anew is, when it is needed next."""
        self._met, self._met_at = error, time.monotonic()
        if error.kind in REOPENED:
            self.__dict__.pop("engine", None)

    @property
    def trouble(self) -> StoreError | None:
        """What this process found wrong with a SQLite store in the last moments."""
        return self._met if time.monotonic() - self._met_at < TOLD_SECONDS else None

    def try_writing(self) -> None:
        """Find out whether a SQLite store can be written to at once; raises `StoreError` if not."""
        if not is_shared(self.url):
            try_writing(self.url, self._meet)
            self._met = None
