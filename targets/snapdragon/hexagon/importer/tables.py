"""Whatever depends on one element alone as a table of its 256 codes: functions, and arithmetic with one number."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from program.program import Array
from targets.snapdragon.hexagon.importer.context import Converter, NodeContext
from targets.snapdragon.hexagon.importer.qdq import constant_number, node_name
from targets.snapdragon.hexagon.importer.reading import optional_input, refused, required_input
from targets.snapdragon.hexagon.operations.lookup import Lookup, tabulate
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor

Function = Callable[[Array], Array]
"""Of float64 values, element by element."""

_ARITHMETIC: Mapping[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Pow": np.power,
    "Sub": np.subtract,
}


def tabulated(function: Function) -> Converter:
    """The converter of a function of one element."""
    return attribute_function(lambda _node: function)


def attribute_function(choose: Callable[[ir.Node], Function]) -> Converter:
    """The converter of a function of one element that the node's attributes or constant inputs decide."""

    def convert(
        context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
    ) -> QuantizedTensor:
        return _add_table(context, node, (required_input(node, 0), choose(node)), output, minimum)

    return convert


def has_number(node: ir.Node) -> bool:
    """Whether one of two operands is a constant of one element."""
    numbers = [constant_number(value) for value in node.inputs if value is not None]
    return len(numbers) == 2 and sum(number is not None for number in numbers) == 1


def convert_with_number(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """Arithmetic of an activation and a number, in either order.

    Raises:
        TargetError: Neither operand is a constant of one element, or a result is not a number.
    """
    if not has_number(node):
        raise refused(node, "two operands of which none is a constant of one element")
    apply = _ARITHMETIC[node.op_type]
    left, right = required_input(node, 0), required_input(node, 1)
    first, second = constant_number(left), constant_number(right)
    if second is not None:
        return _add_table(context, node, (left, lambda x: apply(x, np.asarray(second))), output, minimum)
    return _add_table(context, node, (right, lambda x: apply(np.asarray(first), x)), output, minimum)


def clip(node: ir.Node) -> Function:
    """The bounds are inputs.

    Raises:
        TargetError: A bound is not a constant.
    """
    low, high = _bound(node, 1, -np.inf), _bound(node, 2, np.inf)
    return lambda x: np.minimum(np.maximum(x, low), high)


def leaky_relu(node: ir.Node) -> Function:
    """X, times alpha where it is negative."""
    alpha = node.attributes.get_float("alpha", 0.01)
    return lambda x: np.where(x < 0, alpha * x, x)


def elu(node: ir.Node) -> Function:
    """X, where it is negative alpha · (e^x - 1)."""
    alpha = node.attributes.get_float("alpha", 1.0)
    return lambda x: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


def hard_sigmoid(node: ir.Node) -> Function:
    """Clip(alpha · x + beta, 0, 1)."""
    alpha, beta = node.attributes.get_float("alpha", 0.2), node.attributes.get_float("beta", 0.5)
    return lambda x: np.clip(alpha * x + beta, 0, 1)


def gelu(node: ir.Node) -> Function:
    """In the form the node asks for."""
    return _gelu_tanh if node.attributes.get_string("approximate", "none") == "tanh" else _gelu_erf


def hard_swish(x: Array) -> Array:
    """X · clip(x / 6 + 1/2, 0, 1)."""
    values: Array = x * np.clip(x / 6 + 0.5, 0, 1)
    return values


def erf(x: Array) -> Array:
    """The error function."""
    from scipy import special  # most graphs have no function of its

    values: Array = special.erf(x)
    return values


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    from scipy import special  # as above

    values: Array = special.expit(x)
    return values


def swish(x: Array) -> Array:
    """X · sigmoid(x)."""
    values: Array = x * sigmoid(x)
    return values


def _gelu_erf(x: Array) -> Array:
    from scipy import special  # as above

    values: Array = x * special.ndtr(x)
    return values


def _gelu_tanh(x: Array) -> Array:
    """Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2."""
    values: Array = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return values


def _bound(node: ir.Node, index: int, default: float) -> float:
    value = optional_input(node, index)
    number = default if value is None else constant_number(value)
    if number is None:
        raise refused(node, "a bound that is not a constant")
    return number


def _add_table(
    context: NodeContext,
    node: ir.Node,
    what: tuple[ir.Value, Function],
    output: QuantizedTensor,
    minimum: int,
) -> QuantizedTensor:
    value, function = what
    source = context.tensor(value)
    if source.shape != output.shape:
        raise refused(node, f"a constant that changes the shape {source.shape} to {output.shape}")
    result = dataclasses.replace(output, channel_axis=source.channel_axis)
    table = np.maximum(tabulate(function, source, result), np.uint8(minimum))
    context.add(Lookup(node_name(node), source, result, table))
    return result
