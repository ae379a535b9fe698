"""Export the weights and masks of a finished run for other programs: dense, sparse and as ONNX.

Imports torch, so a server runs it in a child process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig
from sparsecore.engine.deploy import onnx_file, sparse_files
from sparsecore.engine.tasks.base import Task
from sparsecore.engine.training.blobs import decode
from sparsecore.runs.store.store import Store

PREFIX = "model."  # the prefix of the network's parameters in a checkpoint
TRIAL_INPUTS = 64  # inputs on which the ONNX file is compared
TOLERANCE = 1e-4  # absolute and relative: sums in another order differ

Progress = Callable[[int, int, str], None]


class NotFinished(RuntimeError):
    """The run has not ended, or has no weights; the message is one sentence."""


class OutputsDiffer(RuntimeError):
    """The outputs of the ONNX file differ from those of the network."""


@dataclass(frozen=True)
class WeightFiles:
    """The written files: for each form the name of its `file` (or None) and its bytes.

    difference: the largest difference of an output between the ONNX file in onnxruntime and the network in
    PyTorch, over `inputs` inputs.
    """

    forms: dict[str, dict[str, Any]]
    difference: float
    inputs: int

    def summary(self) -> dict[str, Any]:
        """The fields as plain values."""
        return {"forms": self.forms, "difference": self.difference, "inputs": self.inputs}


def write_weight_files(
    store: Store, run_id: str, folder: Path, progress: Progress = lambda done, total, form: None
) -> WeightFiles:
    """Write all files of a run into an existing folder.

    Raises KeyError without such a run, NotFinished, and OutputsDiffer.
    """
    run = store.get(run_id)
    if run is None:
        raise KeyError(run_id)
    saved = store.checkpoint(run_id)
    if run.state != "ended" or saved is None:
        raise NotFinished(f"run {run_id} has no final weights; only a finished run can be exported.")
    config = RunConfig.parse(run.config.model_dump() | store.changes(run_id))
    arrays = decode(saved[1])[0]
    weights = {n.removeprefix(PREFIX): a for n, a in arrays.items() if n.startswith(PREFIX)}
    task = tasks()[config.task].load(Task)
    network = task.network_of(config, weights)
    given = task.trial_inputs(network, TRIAL_INPUTS)
    # An embedding is a lookup table, not a weight matrix, and never pruned.
    tables = [f"{name}.weight" for name, part in network.named_modules() if isinstance(part, nn.Embedding)]
    matrices = [name for name, array in weights.items() if array.ndim == 2 and name not in tables]
    makers: dict[str, tuple[str, Callable[[], bytes]]] = {
        "csr": (f"{run_id}-csr.zip", lambda: sparse_files.csr(weights, matrices)),
        "bitmask": (f"{run_id}-bitmask.safetensors", lambda: sparse_files.bitmask(weights, matrices)),
        "safetensors": (f"{run_id}.safetensors", lambda: sparse_files.masked(weights, matrices)),
        "onnx": (f"{run_id}.onnx", lambda: onnx_file.exported(network, torch.from_numpy(given[:2]))),
    }
    forms: dict[str, dict[str, Any]] = {"dense": {"file": None, "bytes": sparse_files.dense_bytes(weights)}}
    for done, (form, (name, make)) in enumerate(makers.items()):
        progress(done, len(makers) + 1, form)
        (folder / name).write_bytes(made := make())
        forms[form] = {"file": name, "bytes": len(made)}
    progress(len(makers), len(makers) + 1, "check")
    difference = _compare(network, (folder / forms["onnx"]["file"]).read_bytes(), given)
    progress(len(makers) + 1, len(makers) + 1, "check")
    return WeightFiles(forms, difference, len(given))


def _compare(network: nn.Module, model: bytes, given: np.ndarray) -> float:
    """Return the largest difference between outputs of the ONNX file and of the network. Raises Differs."""
    with torch.no_grad():
        wanted = network(torch.from_numpy(given)).numpy()
    found = onnx_file.outputs(model, given)
    difference = float(np.abs(found - wanted).max())
    if not np.allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE):
        raise OutputsDiffer(
            f"the output of the ONNX file differs from that of the network by up to {difference:.3g}."
        )
    return difference
