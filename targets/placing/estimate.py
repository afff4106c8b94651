"""Cost of a run, estimated from the graph and the device's memory bandwidth. Never a measurement."""

from __future__ import annotations

import dataclasses
import math

import onnx_ir as ir

from program.program import Component
from targets.devices.device import Device

_BYTES_PER_GIGABYTE = 10**9


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Lower bound of the time of a run, and what it follows from.

    Attributes:
        weight_bytes: Bytes of all weights, each read once (a gathered table: only the rows that are read).
        state_bytes: Bytes of inputs and outputs, which include the KV cache.
        macs: Multiply-accumulates of matrix products and convolutions.
        seconds: (weight_bytes + state_bytes) / bandwidth.
    """

    weight_bytes: int
    state_bytes: int
    macs: int
    seconds: float


def estimate(component: Component, device: Device) -> Estimate:
    """Estimates a run as bound by memory bandwidth, which is what limits a decoder's single-token step.

    Products of values whose shape the graph does not state are left out of `macs`.
    """
    weights = sum(_bytes_read(value) for value in component.model.graph.initializers.values())
    state = sum(spec.nbytes for spec in (*component.inputs, *component.outputs))
    bandwidth = device.memory.bandwidth.value * _BYTES_PER_GIGABYTE
    macs = sum(_macs(node) for node in component.model.graph)
    return Estimate(weights, state, macs, (weights + state) / bandwidth)


def operations(node: ir.Node) -> int:
    """Multiply-accumulates of a matrix product or convolution, values written by any other node."""
    return _macs(node) or sum(_elements(output) for output in node.outputs)


def _bytes_read(value: ir.Value) -> int:
    """Bytes of an initializer a run touches: of a table that is only gathered from, one row an index."""
    tensor = value.const_value
    if tensor is None or not value.uses():
        return 0
    total = tensor.nbytes
    gathers = [use.node for use in value.uses()]
    if not all(node.op_type == "Gather" and node.inputs[0] is value for node in gathers) or not tensor.size:
        return total
    row = total // max(int(tensor.shape.numpy()[0]), 1)
    indices = sum(_elements(node.inputs[1]) for node in gathers)
    return min(total, row * indices)


def _elements(value: ir.Value | None) -> int:
    shape = _shape(value)
    return math.prod(shape) if shape is not None else 1


def _shape(value: ir.Value | None) -> tuple[int, ...] | None:
    if value is None or value.shape is None or not value.shape.is_static():
        return None
    return tuple(int(extent) for extent in value.shape.numpy())


def _macs(node: ir.Node) -> int:
    if node.op_type not in ("MatMul", "Gemm", "Conv"):
        return 0
    first, second, result = _shape(node.inputs[0]), _shape(node.inputs[1]), _shape(node.outputs[0])
    if first is None or result is None:
        return 0
    if node.op_type == "Conv":
        return math.prod(result) * math.prod(second[1:]) if second is not None else 0
    transposed = node.op_type == "Gemm" and "transA" in node.attributes
    depth = first[0] if transposed and node.attributes["transA"].as_int() else first[-1]
    return math.prod(result) * depth
