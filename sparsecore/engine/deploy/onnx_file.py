"""A network as an ONNX file: PyTorch exports it, onnxruntime carries it out."""

import logging
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

OPSET = 18  # the exporter writes this one by itself; later ones are converted
OUTPUT = "y"


def exported(network: nn.Module, given: Tensor) -> bytes:
    """Export a network with its weights as they are, zeros included, under their own names.

    given: at least two example inputs (N, …). The file takes any number of inputs of this shape, named as in
    the network's `forward`, and gives the output `y`.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of every library that is not installed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of one part of torch to another
        program = torch.onnx.export(
            network.eval(),
            (given,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            output_names=[OUTPUT],
            opset_version=OPSET,
            optimize=False,  # it would store matrices transposed, under other names
            verbose=False,
        )
    model = program.model_proto
    for node in model.graph.node:
        node.ClearField("metadata_props")  # the source lines of this machine
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def outputs(model: bytes, given: np.ndarray) -> np.ndarray:
    """Run the network of an ONNX file on these inputs, on the CPU with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (name,) = (place.name for place in session.get_inputs())
    (found,) = session.run(None, {name: given})
    return found
