"""A temporary home folder for a measurement, so that its runs appear in no user's store."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparsecore.settings import variable


@contextmanager
def own_home() -> Iterator[Path]:
    """Set a new empty home folder without a shared database, for this process and its children."""
    shared = os.environ.pop(variable("store"), None)
    try:
        with tempfile.TemporaryDirectory(prefix="sparsecore-bench-") as folder:
            yield Path(folder)
    finally:
        if shared is not None:
            os.environ[variable("store")] = shared
