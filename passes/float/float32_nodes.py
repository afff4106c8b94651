"""Finds the nodes of a graph that float16 would break."""

from __future__ import annotations

from collections.abc import Set

import onnx_ir as ir

from passes.core.rewrite import COMPUTE_KEY, is_op, scalar_constant
from passes.float.float16 import SMALLEST_NORMAL
from passes.float.precision import weight_of

WIDE = (ir.DataType.FLOAT, ir.DataType.BFLOAT16)
"""Element types that become float16."""

FLOAT32_OPS = frozenset(
    {"CumSum", "Cos", "Exp", "Log", "Pow", "Reciprocal", "ReduceL2", "ReduceLogSumExp", "ReduceMean"}
    | {"ReduceProd", "ReduceSum", "ReduceSumSquare", "Resize", "STFT", "DFT", "Sin", "Softplus", "Sqrt"}
)
"""Stay in float32: squares, sums and powers leave float16's range (6e-8 … 65504), angles and logarithms its
precision (11 bits). They are a small share of the work. ONNX Runtime's CPU provider runs every other operator in
float16: by kernels of its own, or by float32 ones between casts it inserts. It drops inserted casts between two
float32 kernels, so that a chain of such operators is rounded once, at its end."""

TAGGED = "tagged by the pass that made it"
BETWEEN = "stands between nodes that compute in float32"


def float32_nodes(graph: ir.Graph) -> dict[ir.Node, str]:
    """Returns the nodes that must compute in float32, with the reason."""
    kept = {node: reason for node in graph if (reason := _float32_reason(node))}
    return kept | {node: BETWEEN for node in _largest_region(graph, kept.keys()) if node not in kept}


def _largest_region(graph: ir.Graph, kept: Set[ir.Node]) -> list[ir.Node]:
    """Returns the kept nodes and all that float values reach from, and leave to, the region alone.

    Layers with weights bound the region: a model that begins with an embedding and ends with a norm would else be
    float32 as a whole. Starts with every other node; a sweep along the graph and back takes out most of those outside
    at once.
    """
    order = [node for node in graph if node in kept or not _has_weight(node)]
    region, size = set(order), len(order) + 1
    while len(region) < size:
        size = len(region)
        for node in (*order, *reversed(order)):
            if node in region and node not in kept and not _is_inside(node, region):
                region.discard(node)
    return [node for node in order if node in region]


def _float32_reason(node: ir.Node) -> str:
    if node.metadata_props.get(COMPUTE_KEY) == "float32":
        return TAGGED
    if is_op(node, *FLOAT32_OPS):
        return f"{node.op_type} leaves the range or precision of float16"
    if is_op(node, "Cast") and _type_of(node.inputs[0]) in WIDE and _type_of(node.outputs[0]) not in WIDE:
        return "float16 cannot hold every integer beyond 2048"
    constants = [scalar_constant(value) for value in node.inputs if value is not None and value.dtype in WIDE]
    tiny = [value for value in constants if value and abs(value) < SMALLEST_NORMAL]
    return f"the constant {tiny[0]:g} is below the normal numbers of float16" if tiny else ""


def _has_weight(node: ir.Node) -> bool:
    table = node.inputs[0] if is_op(node, "Gather") else None
    if table is not None and table.const_value is not None:
        return len(table.const_value.shape) >= 2
    return weight_of(node) is not None


def _type_of(value: ir.Value | None) -> ir.DataType | None:
    return None if value is None else value.dtype


def _is_inside(node: ir.Node, region: Set[ir.Node]) -> bool:
    """Tells whether all float inputs come from a region, and all outputs stay in it.

    What has no float input, such as a Cast of positions, is inside if its consumers are: the angles of a rotary
    embedding are computed in float32 from the integer on.
    """
    producers = [
        value.producer()
        for value in node.inputs
        if value is not None and value.dtype in WIDE and not value.is_initializer()
    ]
    consumers = [use.node for output in node.outputs for use in output.uses()]
    leaves = any(output.is_graph_output() for output in node.outputs)
    inside = all(producer is not None and producer in region for producer in producers)
    return inside and not leaves and bool(consumers) and all(consumer in region for consumer in consumers)
