"""Where outputs are joined of several tensors, as detectors return boxes and scores in one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import onnx_ir as ir
from onnx_ir.convenience import get_const_tensor

from program.quantities import Joints

_KEEPS = frozenset(
    {"Abs", "Cast", "Clip", "DequantizeLinear", "Exp", "HardSigmoid", "Identity", "LeakyRelu", "Log", "LogSoftmax",
     "Neg", "QuantizeLinear", "Relu", "Sigmoid", "Softmax", "Sqrt", "Tanh"}
)  # fmt: skip
"""Operators whose output has its axes, as they are, from the first input."""

_ELEMENTWISE = frozenset({"Add", "Div", "Mul", "Sub"})
_Found = dict[ir.Value, dict[int, list[int]]]
_RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


def joined_outputs(model: ir.Model) -> dict[str, Joints]:
    """Returns the outputs that `Concat` makes, also behind arithmetic with constants and changes of shape.

    Args:
        model: A graph with static shapes; float, quantised or made for an NPU.

    Returns:
        Output name → where its tensors meet.
    """
    found: _Found = {}
    for node in model.graph:  # forwards and once each: a chain may be longer than Python's stack is deep
        joints = _joints(node, found)
        if joints:
            found[node.outputs[0]] = joints
    return {value.name or "": found[value] for value in model.graph.outputs if value in found}


def _joints(node: ir.Node, found: _Found) -> dict[int, list[int]]:
    """Those of a node's first output, from those of its inputs."""
    shape = _shape(node.outputs[0])
    if shape is None:
        return {}
    if node.op_type == "Concat":
        return _of_concat(node, shape, found)
    source = _source(node)
    if source is None or (before := _shape(source)) is None:
        return {}
    joints = found.get(source, {})
    if node.op_type == "Transpose":
        order = list(node.attributes.get_ints("perm", tuple(reversed(range(len(shape))))))
        return {order.index(axis): places for axis, places in joints.items()}
    if before == shape:
        return joints
    if node.op_type in _RESHAPES:
        moved = {_same_axis(before, axis, shape): places for axis, places in joints.items()}
        return {axis: places for axis, places in moved.items() if axis is not None}
    return {}


def _source(node: ir.Node) -> ir.Value | None:
    """The input whose joints a node hands on."""
    if node.op_type in _KEEPS | _RESHAPES | {"Transpose"}:
        return node.inputs[0]
    if node.op_type in _ELEMENTWISE:
        computed = [value for value in node.inputs if value is not None and get_const_tensor(value) is None]
        return computed[0] if len(computed) == 1 else None
    return None


def _of_concat(node: ir.Node, shape: tuple[int, ...], found: _Found) -> dict[int, list[int]]:
    """Joints between the inputs, those inside one of them, and those that all have in common along another axis."""
    joined = node.attributes.get_int("axis", 0) % len(shape)
    inner: list[dict[int, list[int]]] = [
        {} if value is None else found.get(value, {}) for value in node.inputs
    ]
    lengths = [0 if value is None else (_shape(value) or shape)[joined] for value in node.inputs]
    starts = [0, *itertools.accumulate(lengths)]
    places = set(starts[1:-1])
    for start, joints in zip(starts, inner, strict=False):
        places |= {start + place for place in joints.get(joined, ())}
    result = {axis: known for axis, known in inner[0].items() if axis != joined}
    result = {
        axis: known for axis, known in result.items() if all(joints.get(axis) == known for joints in inner)
    }
    return result | ({joined: sorted(places)} if places else {})


def _same_axis(before: Sequence[int], axis: int, after: Sequence[int]) -> int | None:
    """The axis of a reshaped tensor that still holds what `axis` held."""
    outer = math.prod(before[:axis])
    for index, length in enumerate(after):
        if length == before[axis] and math.prod(after[:index]) == outer:
            return index
    return None


def _shape(value: ir.Value) -> tuple[int, ...] | None:
    if value.shape is None or not all(isinstance(length, int) for length in value.shape):
        return None
    return tuple(value.shape.numpy())
