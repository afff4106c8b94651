"""Reads QuantizeLinear and DequantizeLinear of a graph: which values are codes, which are constants."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from program.program import Array
from targets.errors import TargetError


@dataclasses.dataclass(frozen=True, eq=False)
class Constant:
    """A constant of the graph, quantised or not.

    Attributes:
        codes: Integers, or the values themselves.
        scale: float64, of one element or one a channel; 1 for what is not quantised.
        axis: Of the channels.
    """

    codes: Array
    scale: Array
    axis: int

    @property
    def values(self) -> Array:
        """float64 real values."""
        if self.scale.size == 1:
            return self.codes.astype(np.float64) * self.scale.reshape(())
        shape = [1] * self.codes.ndim
        shape[self.axis] = -1
        return self.codes.astype(np.float64) * self.scale.reshape(shape)


def node_name(node: ir.Node) -> str:
    """The node's name, else that of its first output."""
    return node.name or node.outputs[0].name or ""


def constant_array(value: ir.Value | None) -> Array | None:
    """The array of an initializer or of a Constant node; none for anything else."""
    if value is None or value.const_value is None:
        return None
    return np.asarray(value.const_value.numpy())


def is_activation(node: ir.Node, op_type: str) -> bool:
    """Whether a node quantises or dequantises an activation rather than a constant."""
    return node.op_type == op_type and constant_array(node.inputs[0]) is None


def read_constant(value: ir.Value) -> Constant | None:
    """The constant behind a value: an initializer, or one that is dequantised with zero point 0.

    Raises:
        TargetError: It has another zero point.
    """
    array = constant_array(value)
    if array is not None:
        return Constant(array, np.ones(1), 0)
    node = value.producer()
    if node is None or node.op_type != "DequantizeLinear":
        return None
    codes = constant_array(node.inputs[0])
    if codes is None:
        return None
    scale, zero_point = parameters(node)
    if zero_point.any():
        raise TargetError(
            "a weight has a zero point", where=node_name(node), remedy="quantise weights symmetrically"
        )
    axis = node.attributes.get_int("axis", 1)
    return Constant(codes, scale, axis % max(codes.ndim, 1))


def constant_number(value: ir.Value) -> float | None:
    """The real value of a constant of one element, quantised or not; none for anything else."""
    array, producer = constant_array(value), value.producer()
    if array is None and producer is not None and producer.op_type == "DequantizeLinear":
        array = constant_array(producer.inputs[0])
        if array is not None and array.size == 1:
            scale, zero_point = parameters(producer)
            return float((int(array.reshape(-1)[0]) - int(zero_point[0])) * scale[0])
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def parameters(node: ir.Node) -> tuple[Array, Array]:
    """(scale float64 [n], zero point int64 [n]) of a QuantizeLinear or DequantizeLinear.

    Raises:
        TargetError: They are not constants, or a scale is not positive.
    """
    scale = constant_array(node.inputs[1])
    given = node.inputs[2] if len(node.inputs) > 2 else None
    zero_point = np.zeros(1, np.int64) if given is None else constant_array(given)
    if scale is None or zero_point is None:
        raise TargetError("a scale or zero point is not a constant", where=node_name(node))
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise TargetError(
            "a scale is not a positive number", where=node_name(node), received=str(scale.min())
        )
    return scale.astype(np.float64).reshape(-1), zero_point.astype(np.int64).reshape(-1)


def activation_parameters(node: ir.Node) -> tuple[float, int]:
    """(scale, zero point) of an activation.

    Raises:
        TargetError: It is not quantised to uint8 with one scale.
    """
    codes = node.outputs[0] if node.op_type == "QuantizeLinear" else node.inputs[0]
    scale, zero_point = parameters(node)
    if codes is None or codes.dtype != ir.DataType.UINT8 or scale.size != 1:
        received = "unknown type" if codes is None or codes.dtype is None else codes.dtype.name
        raise TargetError(
            "an activation is not quantised to uint8 with one scale",
            where=node_name(node),
            received=f"{received}, {scale.size} scales",
            remedy="quantise activations to uint8, per tensor",
        )
    return float(scale[0]), int(zero_point[0])
