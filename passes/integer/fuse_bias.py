"""Makes a product and the bias behind it one operator, so that the sum is quantised once."""

from __future__ import annotations

import math

import onnx_ir as ir

from passes.core.rewrite import Builder, Rewrite, is_op, static_shape


class FuseBias(Rewrite):
    """MatMul(x, w) + b → Gemm(x, w, b), for a constant matrix w and a constant vector b.

    Inputs with more axes are flattened to a matrix and the result is unflattened, which moves nothing.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one Add."""
        product, bias = _product_and_bias(node)
        if product is None or bias is None:
            return False
        x, weight = product.inputs
        if x is None or weight is None:
            return False
        build = Builder(graph, node)
        shape = static_shape(x, product)
        flat = x if len(shape) == 2 else build.reshape(x, [math.prod(shape[:-1]), shape[-1]])
        width = static_shape(weight, product)[1]
        result = build.op("Gemm", flat, weight, bias, shape=[math.prod(shape[:-1]), width])
        if len(shape) != 2:
            result = build.reshape(result, [*shape[:-1], width])
        build.replace_anchor(result)
        graph.remove(product, safe=True)
        return True


def _product_and_bias(node: ir.Node) -> tuple[ir.Node | None, ir.Value | None]:
    if not is_op(node, "Add"):
        return None, None
    for product, bias in (node.inputs, reversed(node.inputs)):
        if product is None or bias is None or bias.const_value is None:
            continue
        maker, vector = product.producer(), len(bias.const_value.shape) == 1
        if maker is None or not vector or not is_op(maker, "MatMul") or len(product.uses()) > 1:
            continue
        matrix = None if maker.inputs[1] is None else maker.inputs[1].const_value
        if matrix is None or len(matrix.shape) != 2 or product.is_graph_output():
            continue
        if bias.const_value.size == matrix.shape[1]:
            return maker, bias
    return None, None
