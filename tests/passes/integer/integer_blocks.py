"""Small float components to requantise."""

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from passes.pipeline import normalize
from program.program import Component, Modality, Role

ROWS, WIDTH = 8, 16


def component(nodes, tensors, inputs, outputs):
    graph = helper.make_graph(
        nodes,
        "block",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in tensors.items()],
    )
    model = onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    )
    made = Component("block", Role.MODEL, Modality.TEXT, ir.from_proto(model))
    normalize(made)
    return made


def attention_block():
    """LayerNormalization, q·kᵀ with a mask of -1e4, softmax, ·v, a residual sum."""
    random = np.random.default_rng(0)
    tensors = {name: random.normal(0, 0.3, (WIDTH, WIDTH)) for name in ("wq", "wk", "wv")}
    tensors |= {"gain": random.normal(1, 0.2, WIDTH), "shift": random.normal(0, 0.1, WIDTH)}
    nodes = [
        helper.make_node("LayerNormalization", ["x", "gain", "shift"], ["n"]),
        *[helper.make_node("MatMul", ["n", f"w{part}"], [part]) for part in "qkv"],
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["s"]),
        helper.make_node("Add", ["s", "mask"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["p"]),
        helper.make_node("MatMul", ["p", "v"], ["o"]),
        helper.make_node("Add", ["x", "o"], ["y"]),
    ]
    shape = [1, ROWS, WIDTH]
    return component(nodes, tensors, {"x": shape, "mask": [1, ROWS, ROWS]}, {"y": shape})


def feeds(count):
    random = np.random.default_rng(5)
    mask = np.where(np.triu(np.ones((ROWS, ROWS)), 1), -1e4, 0).astype(np.float32)[None]
    return [
        {"x": random.normal(size=(1, ROWS, WIDTH)).astype(np.float32), "mask": mask} for _ in range(count)
    ]


def convolution_block():
    """A convolution with bias, GELU and a second convolution, with inputs for it."""
    random = np.random.default_rng(3)
    tensors = {
        "w": random.normal(0, 0.2, (8, 4, 3, 3)),
        "b": random.normal(0, 0.5, 8),
        "v": random.normal(0, 0.2, (6, 8, 1, 1)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Gelu", ["c"], ["g"]),
        helper.make_node("Conv", ["g", "v"], ["y"]),
    ]
    block = component(nodes, tensors, {"x": [1, 4, 8, 8]}, {"y": [1, 6, 8, 8]})
    return block, [{"x": random.normal(size=(1, 4, 8, 8)).astype(np.float32)} for _ in range(8)]
