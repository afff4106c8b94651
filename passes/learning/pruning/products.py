"""Matrix products and convolutions of a program with the dimensions they loop over."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping

import onnx_ir as ir

from passes.core.rewrite import integer, is_op, required_input
from passes.learning.pruning.dimensions import Axis
from passes.learning.pruning.tracer import Axes
from program.program import Program

LEADING = ".leading"
"""Ends the name of a weight whose axes `lead_with` permuted."""

VIEW = ":"
"""Stands between a weight's name and the number of its first rows that a sub-network reads."""

ENDINGS = (LEADING, ".e4m3", ".e5m2")
"""What layout and quantisation put at the end of a weight's name."""


@dataclasses.dataclass(frozen=True)
class Product:
    """One MatMul, Gemm or Conv.

    Attributes:
        component: Name of its component.
        node: The node.
        position: Of the node in its graph.
        loops: Dimensions of all its loops: their product is its number of multiply-accumulates.
        weight: Name of its constant operand, without the ending of an FP8 encoding; empty if both are computed.
        inputs: Dimensions of the contracted axis, of a product with a weight.
        outputs: Dimensions of the axis of output channels, of a product with a weight.
        output_axis: That axis in the weight as stored.
        input_axis: The contracted axis in the weight as stored.
    """

    component: str
    node: ir.Node
    position: int
    loops: Axis
    weight: str = ""
    inputs: Axis = ()
    outputs: Axis = ()
    output_axis: int = 0
    input_axis: int = 0

    def operations(self, size: Callable[[int], int]) -> int:
        """Returns multiply-accumulates, given the extent of each dimension."""
        return math.prod(size(dimension) for dimension in self.loops)


def find_products(
    program: Program, values: Mapping[str, Mapping[ir.Value, Axes]], initializers: Mapping[str, Axes]
) -> Iterator[Product]:
    """Yields the products of all components, in the order of execution.

    Args:
        program: The program.
        values: Component name → axes of its values.
        initializers: Axes by initializer name.
    """
    for component, entry in program.components.items():
        for position, node in enumerate(entry.model.graph):
            if is_op(node, "MatMul", "Gemm", "Conv"):
                yield _product(component, node, position, values[component], initializers)


def stored_weight(value: ir.Value) -> tuple[ir.Value, tuple[int, ...]] | None:
    """Returns the initializer behind a constant operand and how its axes are permuted; None if it is computed.

    Looks through DequantizeLinear and Transpose.
    """
    rank = len(value.shape) if value.shape is not None else 0
    order = tuple(range(rank))
    while not value.is_initializer():
        node = value.producer()
        if node is None or not is_op(node, "DequantizeLinear", "Transpose", "Cast"):
            return None
        if is_op(node, "Transpose"):
            step = node.attributes.get_ints("perm", tuple(reversed(range(rank))))
            order = tuple(step[axis] for axis in order)
        value = required_input(node, 0)
    return value, order


def base_name(initializer: str) -> str:
    """Returns the name a weight had before it was quantised, laid out and viewed."""
    initializer = initializer.partition(VIEW)[0]
    for ending in ENDINGS:
        initializer = initializer.removesuffix(ending)
    return initializer


def _product(
    component: str,
    node: ir.Node,
    position: int,
    values: Mapping[ir.Value, Axes],
    initializers: Mapping[str, Axes],
) -> Product:
    left, right = required_input(node, 0), required_input(node, 1)
    output = [dimension for axis in values[node.outputs[0]] for dimension in axis]
    found = stored_weight(right)
    if found is None:
        return Product(component, node, position, (*output, *values[right][-2]))
    weight, order = found
    stored = initializers[weight.name or ""]
    inputs, outputs = _channel_axes(node, len(stored))
    kernel = [dimension for axis in stored[2:] for dimension in axis] if is_op(node, "Conv") else []
    if is_op(node, "Conv") and integer(node, "group", 1) > 1:
        inputs = outputs  # depthwise: a channel is read and made under one dimension
        loops = (*output, *kernel)
    else:
        loops = (*output, *stored[order[inputs]], *kernel)
    return Product(
        component,
        node,
        position,
        loops,
        base_name(weight.name or ""),
        stored[order[inputs]] if left is not None else (),
        stored[order[outputs]],
        order[outputs],
        order[inputs],
    )


def _channel_axes(node: ir.Node, rank: int) -> tuple[int, int]:
    """Returns the axes of the operand that hold input and output channels."""
    if is_op(node, "Conv"):
        return 1, 0
    if is_op(node, "Gemm") and integer(node, "transB", 0):
        return 1, 0
    return rank - 2, rank - 1
