"""The files of a finished run for other programs: its weights and masks, dense and sparse, and as ONNX.

Imports torch, which the ONNX file is checked against: for the command line and for a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig
from sparsecore.engine.deploy import onnx_graph, onnx_run, sparse_files
from sparsecore.engine.tasks.base import Task
from sparsecore.engine.tasks.networks import PAIR_PRIME, Perceptron, TextClassifier
from sparsecore.engine.training.blobs import decode
from sparsecore.runs.store.store import Store

TABLES = ("embedding.weight", "pairs.weight")  # rows that are looked up, no weight matrices: never pruned
PREFIX = "model."  # of the network's parameters in a checkpoint
TRIED = 64  # inputs that the ONNX file is compared on
REACH = 10.0  # and how far from 0 they lie, for a perceptron
TOLERANCE = 1e-4  # absolute and relative: the same sums in another order

Progress = Callable[[int, int, str], None]


class NotReady(RuntimeError):
    """The run has not ended, or left no weights; the message is one sentence."""


class Differs(RuntimeError):
    """The ONNX file does not give what the network gives."""


@dataclass(frozen=True)
class Taken:
    """What was written: of each form its `file`, None where there is none, and its bytes.

    difference: the largest between an output of the ONNX file in onnxruntime and of the network in PyTorch,
    over `inputs` inputs.
    """

    forms: dict[str, dict[str, Any]]
    difference: float
    inputs: int

    def summary(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {"forms": self.forms, "difference": self.difference, "inputs": self.inputs}


def take_away(
    store: Store, run_id: str, folder: Path, progress: Progress = lambda done, total, form: None
) -> Taken:
    """Write all files of a run into an existing folder.

    Raises KeyError without such a run, NotReady, and Differs.
    """
    run = store.get(run_id)
    if run is None:
        raise KeyError(run_id)
    saved = store.checkpoint(run_id)
    if run.state != "ended" or saved is None:
        raise NotReady(f"run {run_id} has not ended with weights; only a finished run can be taken away.")
    config = RunConfig.parse(run.config.model_dump() | store.changes(run_id))
    arrays = decode(saved[1])[0]
    weights = {n.removeprefix(PREFIX): a for n, a in arrays.items() if n.startswith(PREFIX)}
    matrices = [name for name, array in weights.items() if array.ndim == 2 and name not in TABLES]
    network = tasks()[config.task].load(Task).network_of(config, weights)
    makers: dict[str, tuple[str, Callable[[], bytes]]] = {
        "csr": (f"{run_id}-csr.zip", lambda: sparse_files.csr(weights, matrices)),
        "bitmask": (f"{run_id}-bitmask.safetensors", lambda: sparse_files.bitmask(weights, matrices)),
        "safetensors": (f"{run_id}.safetensors", lambda: sparse_files.masked(weights, matrices)),
        "onnx": (f"{run_id}.onnx", lambda: onnx_of(network, weights)),
    }
    forms: dict[str, dict[str, Any]] = {"dense": {"file": None, "bytes": sparse_files.dense_bytes(weights)}}
    for done, (form, (name, make)) in enumerate(makers.items()):
        progress(done, len(makers) + 1, form)
        (folder / name).write_bytes(made := make())
        forms[form] = {"file": name, "bytes": len(made)}
    progress(len(makers), len(makers) + 1, "check")
    difference, inputs = _checked(network, (folder / forms["onnx"]["file"]).read_bytes())
    progress(len(makers) + 1, len(makers) + 1, "check")
    return Taken(forms, difference, inputs)


def onnx_of(network: Perceptron | TextClassifier, weights: dict[str, np.ndarray]) -> bytes:
    """The network with these weights as an ONNX file."""
    if isinstance(network, Perceptron):
        return onnx_graph.perceptron(weights)
    shape = onnx_graph.TextShape(
        positions=network.positions.numpy(),
        heads=network.blocks[0].heads,
        pool=network.pool,
        scale=network.scale,
        pair_prime=PAIR_PRIME,
    )
    return onnx_graph.text_classifier(weights, shape)


def _checked(network: Perceptron | TextClassifier, model: bytes) -> tuple[float, int]:
    given = _inputs(network)
    with torch.no_grad():
        wanted = network(torch.from_numpy(given)).numpy()
    found = onnx_run.outputs(model, given)
    difference = float(np.abs(found - wanted).max())
    if not np.allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE):
        raise Differs(f"the ONNX file gives up to {difference:.3g} more or less than the network.")
    return difference, len(given)


def _inputs(network: Perceptron | TextClassifier) -> np.ndarray:
    """Inputs to compare on: points, or texts of every length, from no word to more than enough."""
    chance = np.random.default_rng(0)
    if isinstance(network, Perceptron):
        width = network.get_submodule("fc1").in_features
        return chance.uniform(-REACH, REACH, (TRIED, width)).astype(np.float32)
    words = network.embedding.num_embeddings
    tokens = chance.integers(1, words, (TRIED, network.length))
    lengths = np.linspace(0, network.length, TRIED).astype(int)
    return np.where(np.arange(network.length) < lengths[:, None], tokens, 0)
