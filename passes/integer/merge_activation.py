"""Takes the rounding between a layer and the ReLU behind it out of a quantised graph."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.rewrite import Rewrite, is_op

_LAYERS = ("Add", "Conv", "Gemm", "MatMul")


class MergeActivation(Rewrite):
    """Relu(DequantizeLinear(QuantizeLinear(layer(x)))) → Relu(layer(x)).

    An integer kernel cuts its result off where it rounds it, so the values that ReLU drops need no codes.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one Relu."""
        decode = _only_maker(node.inputs[0], "DequantizeLinear") if is_op(node, "Relu") else None
        encode = None if decode is None else _only_maker(decode.inputs[0], "QuantizeLinear")
        if decode is None or encode is None or _only_maker(encode.inputs[0], *_LAYERS) is None:
            return False
        node.replace_input_with(0, encode.inputs[0])
        graph.remove([decode, encode], safe=True)
        return True


def _only_maker(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """Returns what makes a value that has one reader and is no output."""
    if value is None or value.is_graph_output() or len(value.uses()) != 1:
        return None
    producer = value.producer()
    return producer if producer is not None and is_op(producer, *op_types) else None
