"""The networks of this project as ONNX: their very weights, zeros and all, and the same arithmetic.

Written with `onnx.helper`: the two architectures are a few dozen operations, and nothing has to be traced.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # the first with LayerNormalization
IR_VERSION = 9  # read by runtimes since 2023
NORM_EPSILON = 1e-5  # of torch.nn.LayerNorm
PERCEPTRON_INPUT, TOKENS = "x", "tokens"
OUTPUT = "y"


@dataclass(frozen=True)
class TextShape:
    """What of a text classifier its weights do not tell (see `models.TextClassifier`).

    positions: (length, width). pool: what the last layer reads, "flat", "mean" or "both". scale: what the
    embedding is multiplied with. pair_prime: spreads pairs over the rows of their table, if it has one.
    """

    positions: np.ndarray
    heads: int
    pool: str
    scale: float
    pair_prime: int


class Graph:
    """Operations in the order in which they are computed, and the constants that they read."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        for name, array in weights.items():
            self.constant(array, name)

    def constant(self, value: np.ndarray, name: str | None = None) -> str:
        """Keep an array in the file; gives its name."""
        name = name or f"constant.{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def __call__(self, operation: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        """Append an operation; gives the name of its output."""
        name = output or f"{operation.lower()}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    def linear(self, x: str, layer: str) -> str:
        """x Wᵀ + b for x of any number of dimensions; W stays in the file as it was trained."""
        turned = self("Transpose", f"{layer}.weight", perm=[1, 0])
        return self("Add", self("MatMul", x, turned), f"{layer}.bias")

    def finished(self, name: str, given: onnx.ValueInfoProto, classes: int) -> bytes:
        """The file, checked by ONNX's own checker."""
        result = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", classes])
        graph = helper.make_graph(self.nodes, name, [given], [result], list(self.constants.values()))
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="sparsecore",
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)


def perceptron(weights: Mapping[str, np.ndarray]) -> bytes:
    """Linear layers `fc1`, `fc2`, … with sigmoids between: input `x` (batch, in), output `y` (batch, out)."""
    graph, depth = Graph(weights), len(weights) // 2
    x = PERCEPTRON_INPUT
    for place in range(1, depth + 1):
        layer, last = f"fc{place}", place == depth
        given = (x, f"{layer}.weight", f"{layer}.bias")
        x = graph("Gemm", *given, transB=1, output=OUTPUT if last else None)
        x = x if last else graph("Sigmoid", x)
    inputs, outputs = weights["fc1.weight"].shape[1], weights[f"fc{depth}.weight"].shape[0]
    given = helper.make_tensor_value_info(PERCEPTRON_INPUT, TensorProto.FLOAT, ["batch", inputs])
    return graph.finished("perceptron", given, outputs)


def text_classifier(weights: Mapping[str, np.ndarray], shape: TextShape) -> bytes:
    """The Transformer encoder: input `tokens` (batch, length) int64 with 0 for padding, output `y` logits."""
    graph, length = Graph(weights), shape.positions.shape[0]
    padding = graph("Equal", TOKENS, graph.constant(np.array(0, np.int64)))
    first = graph.constant((np.arange(length) == 0)[None])
    # The first place is always read: an all-padding row would leave the attention nothing to average.
    visible = graph("Or", graph("Not", padding), first)
    axes = graph.constant(np.array([1, 2], np.int64))
    unseen = graph("Unsqueeze", graph("Where", visible, _number(graph, 0.0), _number(graph, -math.inf)), axes)
    x = graph("Add", _embedded(graph, weights, shape), graph.constant(shape.positions))
    for place in range(1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))):
        x = _block(graph, x, f"blocks.{place}", unseen, weights, shape.heads)
    pooled = _pooled(graph, x, padding, shape)
    graph("Gemm", pooled, "head.weight", "head.bias", transB=1, output=OUTPUT)
    given = helper.make_tensor_value_info(TOKENS, TensorProto.INT64, ["batch", length])
    return graph.finished("text_classifier", given, weights["head.weight"].shape[0])


def _number(graph: Graph, value: float) -> str:
    return graph.constant(np.array(value, np.float32))


def _embedded(graph: Graph, weights: Mapping[str, np.ndarray], shape: TextShape) -> str:
    """The vectors of the tokens, with those of their pairs with the token before."""
    x = graph("Gather", "embedding.weight", TOKENS)
    if "pairs.weight" in weights:
        shifted = graph.constant(np.array([0, 1, 0, -1], np.int64))  # one place on: the last falls off
        before = graph("Pad", TOKENS, shifted)
        spread = graph("Mul", before, graph.constant(np.array(shape.pair_prime, np.int64)))
        rows = graph.constant(np.array(weights["pairs.weight"].shape[0], np.int64))
        x = graph("Add", x, graph("Gather", "pairs.weight", graph("Mod", graph("Add", spread, TOKENS), rows)))
    return graph("Mul", x, _number(graph, shape.scale))


def _block(
    graph: Graph, x: str, name: str, unseen: str, weights: Mapping[str, np.ndarray], heads: int
) -> str:
    width = weights[f"{name}.query.weight"].shape[0]
    apart = graph.constant(np.array([0, 0, heads, width // heads], np.int64))
    together = graph.constant(np.array([0, 0, width], np.int64))

    def split(layer: str, perm: list[int]) -> str:
        return graph("Transpose", graph("Reshape", graph.linear(x, f"{name}.{layer}"), apart), perm=perm)

    def norm(y: str, layer: str) -> str:
        given = (y, f"{name}.{layer}.weight", f"{name}.{layer}.bias")
        return graph("LayerNormalization", *given, axis=-1, epsilon=NORM_EPSILON)

    scores = graph("MatMul", split("query", [0, 2, 1, 3]), split("key", [0, 2, 3, 1]))
    scaled = graph("Mul", scores, _number(graph, 1 / math.sqrt(width // heads)))
    shares = graph("Softmax", graph("Add", scaled, unseen), axis=-1)
    attended = graph("MatMul", shares, split("value", [0, 2, 1, 3]))
    joined = graph("Reshape", graph("Transpose", attended, perm=[0, 2, 1, 3]), together)
    x = norm(graph("Add", x, joined), "attention_norm")
    wide = graph("Relu", graph.linear(x, f"{name}.expand"))
    return norm(graph("Add", x, graph.linear(wide, f"{name}.contract")), "output_norm")


def _pooled(graph: Graph, x: str, padding: str, shape: TextShape) -> str:
    """What the last layer reads of the tokens' vectors; padding adds nothing."""
    length, width = shape.positions.shape
    last = graph.constant(np.array([2], np.int64))
    absent = graph("Unsqueeze", padding, last)
    kept = graph("Where", absent, _number(graph, 0.0), x)
    if shape.pool == "flat":
        return graph("Reshape", kept, graph.constant(np.array([0, length * width], np.int64)))
    tokens = graph.constant(np.array([1], np.int64))
    present = graph("Cast", graph("Not", absent), to=TensorProto.FLOAT)
    number = graph("ReduceSum", present, tokens, keepdims=0)
    some = graph("Max", number, _number(graph, 1.0))
    mean = graph("Div", graph("ReduceSum", kept, tokens, keepdims=0), some)
    if shape.pool == "mean":
        return mean
    low = graph("Where", absent, _number(graph, -math.inf), x)
    nothing = graph("Equal", number, _number(graph, 0.0))
    largest = graph("Where", nothing, _number(graph, 0.0), graph("ReduceMax", low, axes=[1], keepdims=0))
    return graph("Concat", mean, largest, axis=1)
