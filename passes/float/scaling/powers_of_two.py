"""Multiplies values of a graph by powers of two."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from passes.core.rewrite import Builder, small_constant

CONSTANT_ELEMENTS = 1 << 16
"""Constants up to this size are looked at, and folded."""

_LARGEST_STEP = 14
"""Powers of two from 2⁻¹⁴ to 2¹⁴ are normal float16 numbers."""


def times(build: Builder, value: ir.Value, power: int) -> ir.Value:
    """Multiplies a value by 2 to some power; constants are folded, large powers taken in steps that float16 holds.

    Args:
        build: In front of what reads the result.
        value: A float.
        power: Any; 0 gives the value itself.
    """
    dtype = value.dtype or ir.DataType.FLOAT
    array = small_constant(value, CONSTANT_ELEMENTS) if value.is_initializer() else None
    if array is not None:
        return build.constant((array.astype(np.float64) * 2.0**power).astype(array.dtype), "scaled")
    while power:
        step = max(-_LARGEST_STEP, min(_LARGEST_STEP, power))
        value = build.op("Mul", value, build.scalar(2.0**step, dtype, "factor"), shape=_shape(value))
        power -= step
    return value


def shift_output(graph: ir.Graph, node: ir.Node, value: ir.Value, shift: int) -> ir.Value:
    """Multiplies an output of a node by 2 to the power of -shift.

    Args:
        graph: The graph.
        node: The node.
        value: Its output.
        shift: Not 0.

    Returns:
        The product, which takes over the output's name and what reads it.
    """
    following = ir.Node("", "Identity", [value], name=f"{node.name or node.op_type}/scaled")
    following.metadata_props.update(node.metadata_props)
    result = following.outputs[0]
    result.type, result.shape = value.type, value.shape
    name, value.name = value.name, f"{value.name}/scaled"
    value.replace_all_uses_with(result, replace_graph_outputs=True)
    following.replace_input_with(0, value)
    result.name = name
    graph.insert_after(node, following)
    build = Builder(graph, following)
    product = times(build, value, -shift)
    build.replace_anchor(product)
    return product


def _shape(value: ir.Value) -> list[int] | None:
    return None if value.shape is None else [int(size) for size in value.shape.numpy()]
