"""What can be said of a trained point: is it stationary under the constraint, how curved is the objective.

Names are handed on lazily (PEP 562): the server reads `least_squares`, which needs no torch.
"""

from importlib import import_module

_HOMES = {
    "Certificate": "sparsecore.analysis.stationarity",
    "Curvature": "sparsecore.analysis.curvature",
    "GroupCertificate": "sparsecore.analysis.stationarity",
    "lipschitz": "sparsecore.analysis.curvature",
    "stationarity": "sparsecore.analysis.stationarity",
}

__all__ = ["Certificate", "Curvature", "GroupCertificate", "lipschitz", "stationarity"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'sparsecore.analysis' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
