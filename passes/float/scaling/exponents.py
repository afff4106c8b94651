"""How powers of two go through operators: what ScaleValues needs to know of each."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import onnx_ir as ir

from passes.core.rewrite import input_at, is_op, scalar_constant

KEEPS = frozenset(
    {
        "Abs",
        "AveragePool",
        "Cast",
        "Clip",
        "CumSum",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
    }
    | {
        "GlobalAveragePool",
        "GlobalMaxPool",
        "Identity",
        "LeakyRelu",
        "MaxPool",
        "Neg",
        "ReduceL1",
        "ReduceL2",
    }
    | {
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
    }
    | {"Squeeze", "Tile", "Transpose", "Unsqueeze"}
)
"""f(2ᵏ · x) = 2ᵏ · f(x) in the first input."""

ALIGNS = frozenset(
    {
        "Add",
        "Concat",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Sub",
        "Where",
    }
)
"""The same in all float inputs together."""

NORMALISES = frozenset(
    {
        "GroupNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "LpNormalization",
        "RMSNormalization",
    }
)
"""f(2ᵏ · x) = f(x), but for the epsilon; their sums are kept wide inside."""

SATURATES = frozenset({"Sigmoid", "Tanh"})
"""The result no longer changes long before the input leaves float16."""

_MULTIPLIES = frozenset({"Conv", "ConvTranspose", "MatMul", "Mul"})


@dataclasses.dataclass(frozen=True)
class Exponents:
    """Exponents of one node; a value v with exponent e is stored as v · 2⁻ᵉ.

    Attributes:
        shifts: Input index → exponent that is added to the input's before the node reads it.
        natural: Exponent that the outputs have then.
    """

    shifts: Mapping[int, int]
    natural: int


def exponent_of(largest: float, limit: float) -> int:
    """Returns the least exponent, 0 or more, with which a magnitude is within a limit."""
    return max(0, math.ceil(math.log2(largest / limit))) if largest > 0 else 0


def node_exponents(node: ir.Node, inputs: Mapping[int, int], needed: int) -> Exponents | None:
    """Returns how a node computes on scaled inputs.

    Args:
        node: The node.
        inputs: Index → exponent of the float inputs.
        needed: Exponent the outputs must have at least, so that float16 holds what the node writes.

    Returns:
        None where the operator's function does not go with powers of two.
    """
    first = inputs.get(0, 0)
    if is_op(node, *ALIGNS):
        target = max([needed, *inputs.values()])
        return Exponents({index: target - have for index, have in inputs.items()}, target)
    if is_op(node, *_MULTIPLIES):
        return _product(node, first + inputs.get(1, 0), needed)
    if is_op(node, *NORMALISES):
        return Exponents({}, 0)
    if is_op(node, *SATURATES):
        return Exponents({0: -first}, 0)
    if is_op(node, "Div"):
        shift = max(0, needed + inputs.get(1, 0) - first)
        return Exponents({0: shift}, first + shift - inputs.get(1, 0))
    if is_op(node, "Reciprocal"):
        return Exponents({}, -first)
    power = _power(node)
    return None if power is None else _powered(first, power, needed)


def _product(node: ir.Node, natural: int, needed: int) -> Exponents:
    missing = max(0, needed - natural)
    variable = [index for index in (0, 1) if not _is_constant(input_at(node, index))] or [0]
    shifts = {index: missing // len(variable) for index in variable}
    shifts[variable[0]] += missing - sum(shifts.values())
    return Exponents(shifts, natural + missing)


def _power(node: ir.Node) -> float | None:
    """Returns p where f(2ᵏ · x, …) = 2ᵖᵏ · f(x, …) in the first input."""
    if is_op(node, *KEEPS):
        return 1.0
    if is_op(node, "ReduceSumSquare"):
        return 2.0
    if is_op(node, "Sqrt"):
        return 0.5
    exponent = scalar_constant(input_at(node, 1)) if is_op(node, "Pow") else None
    return exponent if exponent in (0.5, 1.0, 2.0) else None


def _powered(first: int, power: float, needed: int) -> Exponents:
    shift = 0
    while not float((first + shift) * power).is_integer() or (first + shift) * power < needed:
        shift += 1
    return Exponents({0: shift}, int((first + shift) * power))


def _is_constant(value: ir.Value | None) -> bool:
    return value is not None and value.is_initializer()
