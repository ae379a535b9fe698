"""Sparse optimisation in deep learning: train under ‖w‖₀ ≤ s, and watch it happen.

Public names are handed on lazily (PEP 562): importing the package does not import torch, so that the
server of the dashboard stays small.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "Certificate": "sparsecore.engine.analysis.stationarity",
    "KeepAlive": "sparsecore.engine.sparsifier.keep_alive",
    "RunConfig": "sparsecore.engine.config",
    "HardThreshold": "sparsecore.engine.methods.registry",
    "Sparsifier": "sparsecore.engine.methods.registry",
    "Projection": "sparsecore.engine.projection.project",
    "project_": "sparsecore.engine.projection.project",
    "stationarity": "sparsecore.engine.analysis.stationarity",
    "train": "sparsecore.engine.training.loop",
    "Store": "sparsecore.runs.store.store",
}

_MODULES = {
    "events": "sparsecore.engine.training.events",
    "schedules": "sparsecore.engine.sparsifier.schedules",
}

__all__ = sorted([*_HOMES, *_MODULES, "__version__"])


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'sparsecore' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
