"""Sparse optimisation in deep learning: train under ‖w‖₀ ≤ s, and watch it happen.

Public names are handed on lazily (PEP 562): importing the package does not import torch, so that the
server of the dashboard stays small.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "RunConfig": "sparsecore.config",
    "HardThreshold": "sparsecore.sparsifiers",
    "Sparsifier": "sparsecore.sparsifiers",
    "Projection": "sparsecore.projection",
    "project_": "sparsecore.projection",
    "train": "sparsecore.training",
    "Store": "sparsecore.runs.store",
}

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'sparsecore' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
