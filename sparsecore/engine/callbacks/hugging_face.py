"""A sparsifier in Hugging Face's `Trainer`, with its state in the trainer's checkpoints."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sparsecore.engine.sparsifier.base import Sparsifier

try:
    from transformers import TrainerCallback, TrainerState, TrainingArguments
except ImportError as error:
    raise ImportError(
        "HuggingFaceCallback needs Transformers: pip install transformers accelerate"
    ) from error

FILE = "sparsifier.pt"  # in the folder of a checkpoint


class HuggingFaceCallback(TrainerCallback):
    """Attach a sparsifier when training starts; save and load its state with the trainer's checkpoints.

    A run that resumes goes on at the step, support and retention counts of its checkpoint, which is looked
    for in the trainer's `output_dir`. `blocks` are those of `Sparsifier.attach`. A second `train()` begins
    anew.

    >>> import sparsecore as sc
    >>> sparse = sc.HuggingFaceCallback(sc.HardThreshold(0.1))
    >>> Trainer(model, arguments, callbacks=[sparse]).train()  # doctest: +SKIP
    """

    def __init__(self, sparsifier: Sparsifier, blocks: Sequence[str] = ()) -> None:
        self.sparsifier, self.blocks = sparsifier, blocks

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: Any,
        *,
        model: nn.Module,
        optimizer: Any,
        **more: Any,
    ) -> None:
        self.sparsifier.detach()
        self.sparsifier.attach(model, optimizer, self.blocks)
        if state.global_step:
            self._load(_file(args, state))

    def _load(self, file: Path) -> None:
        if file.is_file():
            saved = torch.load(file, map_location="cpu", weights_only=True)
            self.sparsifier.load_state_dict(saved)
            return
        warnings.warn(
            f"there is no {file}: the sparsifier goes on at step {self.sparsifier.step}, as the optimiser "
            "was saved, with the support of the weights; its counts begin anew.",
            stacklevel=2,
        )

    def on_save(self, args: TrainingArguments, state: TrainerState, control: Any, **more: Any) -> None:
        file = _file(args, state)
        # A search of hyperparameters saves elsewhere, and never resumes.
        if state.is_world_process_zero and not args.save_only_model and file.parent.is_dir():
            torch.save(self.sparsifier.state_dict(), file)


def _file(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE
