"""Mul and functions of one element as integer operations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from scipy import special

from exporter.program import Array
from targets.snapdragon.hexagon.importer.broadcasting import equal_operands
from targets.snapdragon.hexagon.importer.context import Converter, NodeContext
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.importer.reading import (
    required_input,
)
from targets.snapdragon.hexagon.operations.lookup import Lookup, tabulate
from targets.snapdragon.hexagon.operations.multiplication import Multiplication
from targets.snapdragon.hexagon.tensor import QuantizedTensor


def convert_multiplication(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """The product of two activations."""
    left, right = equal_operands(context, node, output)
    result = dataclasses.replace(output, channel_axis=left.channel_axis)
    context.add(Multiplication(node_name(node), left, right, result, minimum))
    return result


def tabulated(function: Callable[[Array], Array]) -> Converter:
    """The converter of a function of one element."""

    def convert(
        context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
    ) -> QuantizedTensor:
        source = context.tensor(required_input(node, 0))
        result = dataclasses.replace(output, channel_axis=source.channel_axis)
        table = np.maximum(tabulate(function, source, result), np.uint8(minimum))
        context.add(Lookup(node_name(node), source, result, table))
        return result

    return convert


def convert_gelu(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """Gelu in the form the node asks for."""
    approximate = node.attributes.get_string("approximate", "none") == "tanh"
    return tabulated(_gelu_tanh if approximate else _gelu_erf)(context, node, output, minimum)


def _gelu_erf(x: Array) -> Array:
    values: Array = x * special.ndtr(x)
    return values


def _gelu_tanh(x: Array) -> Array:
    """Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2."""
    values: Array = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return values


def hard_swish(x: Array) -> Array:
    """X · clip(x / 6 + 1/2, 0, 1)."""
    values: Array = x * np.clip(x / 6 + 0.5, 0, 1)
    return values


def swish(x: Array) -> Array:
    """X · sigmoid(x)."""
    values: Array = x * special.expit(x)
    return values
