"""A home of a measurement's own: whatever it trains is in nobody's store, and gone when it is over."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparsecore.settings import variable


@contextmanager
def own_home() -> Iterator[Path]:
    """An empty folder for a store, which no shared database takes the place of, here and in new processes."""
    shared = os.environ.pop(variable("store"), None)
    try:
        with tempfile.TemporaryDirectory(prefix="sparsecore-bench-") as folder:
            yield Path(folder)
    finally:
        if shared is not None:
            os.environ[variable("store")] = shared
