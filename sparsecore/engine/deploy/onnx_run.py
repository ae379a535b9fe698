"""An ONNX file carried out by onnxruntime, to compare what it gives with what the network gives."""

from __future__ import annotations

import numpy as np
import onnxruntime


def outputs(model: bytes, given: np.ndarray) -> np.ndarray:
    """What the network in the file gives for these inputs, on the CPU with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (name,) = (place.name for place in session.get_inputs())
    (found,) = session.run(None, {name: given})
    return found
