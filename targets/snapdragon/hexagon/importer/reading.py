"""Reads inputs, weights and parameters of a node."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from program.program import Array
from targets.errors import TargetError
from targets.snapdragon.hexagon.importer import qdq
from targets.snapdragon.hexagon.importer.qdq import node_name


def required_input(node: ir.Node, index: int) -> ir.Value:
    """An input that must be there.

    Raises:
        TargetError: It is missing.
    """
    value = optional_input(node, index)
    if value is None:
        raise refused(node, f"no input {index}")
    return value


def optional_input(node: ir.Node, index: int) -> ir.Value | None:
    """An input, if it is there."""
    return node.inputs[index] if index < len(node.inputs) else None


def refused(node: ir.Node, received: str) -> TargetError:
    """The error for a form of an operator without an integer kernel."""
    return TargetError(
        f"the integer form of {node.op_type} does not take this",
        where=node_name(node),
        received=received,
        remedy="run the node elsewhere",
    )


def pair(values: Sequence[int], fill: int) -> tuple[int, int]:
    """(rows, columns) of one or two dimensions."""
    rows, columns = [fill] * (2 - len(values)) + [int(value) for value in values]
    return rows, columns


def read_weight(node: ir.Node, index: int) -> qdq.Constant:
    """The int8 weight behind an input.

    Raises:
        TargetError: It is not an int8 constant.
    """
    weight = qdq.read_constant(required_input(node, index))
    if weight is None or weight.codes.dtype != np.int8:
        raise refused(node, "a weight that is not an int8 constant")
    return weight


def read_values(node: ir.Node, value: ir.Value) -> Array:
    """The real values of a constant, flat.

    Raises:
        TargetError: It is not a constant.
    """
    constant = qdq.read_constant(value)
    if constant is None:
        raise refused(node, "a parameter that is not a constant")
    return constant.values.reshape(-1)
