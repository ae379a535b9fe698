"""A sparsifier in Lightning's `Trainer`, with its state in the trainer's checkpoints."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from torch import nn

from sparsecore.engine.sparsifier.base import Sparsifier

# One library under two names, each with a class of its own; the one that is in use already goes first.
_NAMES = sorted(("lightning", "pytorch_lightning"), key=lambda name: name not in sys.modules)
_FOUND = next((name for name in _NAMES if find_spec(name) is not None), None)
if _FOUND is None:
    raise ImportError("LightningCallback needs Lightning: pip install lightning, or pytorch-lightning")
_Callback: Any = import_module(f"{_FOUND}.pytorch" if _FOUND == "lightning" else _FOUND).Callback


class LightningCallback(_Callback):
    """Attach a sparsifier when training starts; save and load its state with Lightning's checkpoints.

    A run that resumes goes on at the step, support and retention counts of its checkpoint. `optimizer` is
    the place of the optimiser among those of the module, `blocks` are those of `Sparsifier.attach`. A second
    `fit` begins anew.

    >>> import sparsecore as sc
    >>> sparse = sc.LightningCallback(sc.HardThreshold(0.1))
    >>> Trainer(callbacks=[sparse]).fit(module, batches)  # doctest: +SKIP
    """

    def __init__(self, sparsifier: Sparsifier, optimizer: int = 0, blocks: Sequence[str] = ()) -> None:
        self.sparsifier, self.optimizer, self.blocks = sparsifier, optimizer, blocks
        self._loaded: dict[str, Any] = {}

    def on_train_start(self, trainer: Any, pl_module: nn.Module) -> None:
        self.sparsifier.detach()
        self.sparsifier.attach(pl_module, trainer.optimizers[self.optimizer], self.blocks)
        if self._loaded:
            self.sparsifier.load_state_dict(self._loaded)
            self._loaded = {}

    def state_dict(self) -> dict[str, Any]:
        return self.sparsifier.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until training starts: Lightning loads callbacks before there is an optimiser."""
        self._loaded = state_dict
