"""Where a user's runs and texts are kept."""

import os
from pathlib import Path

import platformdirs


def default_home() -> Path:
    """`SPARSECORE_HOME`, else the user's data directory of the operating system."""
    given = os.environ.get("SPARSECORE_HOME")
    return Path(given) if given else Path(platformdirs.user_data_dir("sparsecore", appauthor=False))


def corpora_folder() -> Path:
    """The folder of kept texts."""
    return default_home() / "corpora"
