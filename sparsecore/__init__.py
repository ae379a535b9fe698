"""Sparse optimisation in deep learning: train under ‖w‖₀ ≤ s, and watch it happen.

Public names are imported when they are first used (PEP 562): importing the package does not import torch, so
that the server of the dashboard stays small. The class of every method is one of them, by its own name.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Certificate": "sparsecore.engine.analysis.stationarity",
    "KeepAlive": "sparsecore.engine.sparsifier.constrained",
    "RunConfig": "sparsecore.engine.config",
    "Sparsifier": "sparsecore.engine.sparsifier.base",
    "Projection": "sparsecore.engine.projection.project",
    "project_": "sparsecore.engine.projection.project",
    "stationarity": "sparsecore.engine.analysis.stationarity",
    "train": "sparsecore.engine.training.loop",
    "Store": "sparsecore.runs.store.store",
}

# They need a library that does not come with this one, and are left out of `import *`.
_CALLBACKS = {
    "HuggingFaceCallback": "sparsecore.engine.callbacks.hugging_face",
    "LightningCallback": "sparsecore.engine.callbacks.lightning",
}

_MODULES = {
    "events": "sparsecore.engine.training.events",
    "schedules": "sparsecore.engine.sparsifier.schedules",
}

__all__ = sorted([*_HOMES, *_MODULES, "__version__"])


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _CALLBACKS:
        return getattr(import_module(_CALLBACKS[name]), name)
    if name in _HOMES:
        try:
            return getattr(import_module(_HOMES[name]), name)
        except ModuleNotFoundError as error:
            from sparsecore.settings import INSTALL

            raise ImportError(f"{name} needs {error.name}: {INSTALL.format(extra='dashboard')}.") from error
    if name[0].isupper() and (found := _methods().get(name)) is not None:
        return found.load(__getattr__("Sparsifier"))
    raise AttributeError(f"module 'sparsecore' has no attribute {name!r}")


def _methods() -> dict[str, Any]:
    """The cards of all methods, by the names of their classes."""
    cards = import_module("sparsecore.engine.cards").methods()
    return {card.class_.partition(".")[2]: card for card in cards.values()}


def __dir__() -> list[str]:
    return sorted([*__all__, *_CALLBACKS, *_methods()])
