"""Keeps HTP's compiler from fusing a matrix product with the activation after it."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.rewrite import Builder, Rewrite, is_op

_ACTIVATIONS = ("Gelu", "Sigmoid", "Tanh")
_PRODUCTS = ("Conv", "Gemm", "MatMul")
_TRANSPARENT = frozenset({"Add", "Flatten", "Mul", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""What the compiler folds into a product, or looks through: a bias, a factor, and layout."""

_LARGEST = 65504.0


class SeparateActivation(Rewrite):
    """Sigmoid(x · w + b) → Sigmoid(Min(x · w + b, 65504)), and likewise for Tanh and Gelu.

    Fused with a product by a constant weight, the activation is computed more coarsely: 44 to 52 dB against ONNX
    Runtime instead of 65 to 80 (QAIRT 2.51, float16, one row; Sigmoid at 64 rows as well). The compiler removes a
    product with 1, a Reshape or a Transpose that changes nothing, but not a minimum with float16's largest value,
    which costs one pass over the tensor and changes no finite value.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Separates one activation."""
        x = node.inputs[0] if is_op(node, *_ACTIVATIONS) else None
        if x is None or x.dtype != ir.DataType.FLOAT16 or not _is_product(x):
            return False
        build = Builder(graph, node)
        limited = build.op("Min", x, build.scalar(_LARGEST, ir.DataType.FLOAT16, "largest"))
        limited.shape = x.shape
        # SiLU multiplies the activation by its own input, and is one operator of HTP if both read the same value
        products = [use.node for use in node.outputs[0].uses()]
        for user in (node, *products):
            for index, value in enumerate(user.inputs):
                if value is x:
                    user.replace_input_with(index, limited)
        self.remark(
            node, f"{node.op_type} stays apart from the product before it", "fused, it is computed coarsely"
        )
        return True


def _is_product(value: ir.Value) -> bool:
    """Tells whether a value is a product by a constant weight, up to what the compiler folds into it."""
    node = value.producer()
    if node is None or len(node.inputs) == 0:
        return False
    if is_op(node, *_PRODUCTS):
        weight = node.inputs[1]
        return weight is not None and weight.is_initializer()
    computed = [source for source in node.inputs if source is not None and not source.is_initializer()]
    return is_op(node, *_TRANSPARENT) and len(computed) == 1 and _is_product(computed[0])
