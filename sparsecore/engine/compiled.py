"""Functions compiled by numba, and where their machine code is kept."""

import hashlib
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite.binding
import numba

from sparsecore.settings import cache_folder

_compiling = threading.Lock()


def compiled(
    source: ModuleType, names: Sequence[str], variant: str, *called: ModuleType
) -> list[Callable[..., Any]]:
    """Functions of a module; each is compiled at its first call, or read from the cache.

    called: other modules of compiled functions that these call. Every variant has a folder of its own, and
    so has every version of the sources, of numba and of the processor: numba's index of a folder is not safe
    against processes that write different code into it at once.
    """
    passes = [getattr(source, name).py_func for name in names]
    with _compiling:
        folder, before = _writable(_cache_folder(source, *called) / variant), numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(folder or "")
        try:
            return [numba.njit(nogil=True, cache=folder is not None)(each) for each in passes]
        finally:
            numba.config.CACHE_DIR = before


def _cache_folder(*sources: ModuleType) -> Path:
    root = Path(numba.config.CACHE_DIR or cache_folder() / "numba")
    machine = f"{numba.__version__} {llvmlite.binding.get_host_cpu_name()} {_features()}"
    written = b"".join(Path(source.__file__).read_bytes() for source in sources)
    return root / hashlib.sha256(written + machine.encode()).hexdigest()[:16]


def _features() -> str:
    return llvmlite.binding.get_host_cpu_features().flatten()


def _writable(folder: Path) -> Path | None:
    """The folder, made if need be; None where nothing can be written: then nothing is cached."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    return folder
