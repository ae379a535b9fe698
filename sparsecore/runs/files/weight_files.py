"""Export the weights and masks of a finished run for other programs: dense, sparse and as ONNX.

Imports torch, so a server runs it as a child process (`Job.run_child`) with the question
`{"run": …, "folder": …}`. It reports every file and ends with its server.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import RunConfig
from sparsecore.engine.deploy import onnx_file, sparse_formats
from sparsecore.engine.tasks.base import Task
from sparsecore.engine.training.blobs import decode
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.assignments import end_with_server
from sparsecore.runs.workers.worker import error_sentence, one_thread

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
    """The written files: for each form the `file` (or None), its `bytes`, and those of its `numbers` alone.

    difference: the largest difference of an output between the ONNX file in onnxruntime and the network in
    PyTorch, over `inputs` inputs.
    """

    forms: dict[str, dict[str, Any]]
    difference: float
    inputs: int


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
        "csr": (f"{run_id}-csr.zip", lambda: sparse_formats.csr(weights, matrices)),
        "bitmask": (f"{run_id}-bitmask.safetensors", lambda: sparse_formats.bitmask(weights, matrices)),
        "safetensors": (f"{run_id}.safetensors", lambda: sparse_formats.masked(weights, matrices)),
        "onnx": (f"{run_id}.onnx", lambda: onnx_file.exported(network, torch.from_numpy(given[:2]))),
    }
    plain = sparse_formats.dense_bytes(weights)
    forms: dict[str, dict[str, Any]] = {"dense": {"file": None, "bytes": plain, "numbers": plain}}
    for done, (form, (name, make)) in enumerate(makers.items()):
        progress(done, len(makers) + 1, form)
        (folder / name).write_bytes(made := make())
        numbers = sparse_formats.number_bytes(form, weights, matrices)
        forms[form] = {"file": name, "bytes": len(made), "numbers": numbers}
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


def _print(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def main(home: Path) -> None:
    """Make the files that standard input requests."""
    question, gone = json.loads(sys.stdin.readline()), threading.Event()
    end_with_server(gone)
    one_thread()
    store = Store(home)

    def report(done: int, total: int, form: str) -> None:
        if gone.is_set():
            os._exit(1)
        _print(done=done, total=total, form=form)

    try:
        files = write_weight_files(store, question["run"], Path(question["folder"]), report)
    except KeyError:
        _print(problem="the run no longer exists.")
    except (NotFinished, OutputsDiffer) as error:
        _print(problem=str(error))
    except Exception as error:
        _print(problem=error_sentence(error))
        raise
    else:
        _print(result=asdict(files))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
