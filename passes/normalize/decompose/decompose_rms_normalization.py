"""Writes RMSNormalization as elementary operators."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.properties import without
from passes.core.rewrite import (
    COMPUTE_KEY,
    Builder,
    Rewrite,
    integer,
    is_op,
    number,
    required_input,
    static_shape,
)


class DecomposeRmsNormalization(Rewrite):
    """RMSNormalization(x, scale) → x / sqrt(mean(x²) + epsilon) · scale.

    Follows the function body of the ONNX operator (opset 23): statistics and quotient in the `stash_type`,
    then rounded to the type of `x` and multiplied by `scale`. With a float32 stash the nodes up to the
    quotient carry the tag `npuc.compute = float32`, so that a later conversion to float16 leaves them alone:
    the square of an activation beyond 256 does not fit float16.
    """

    gives = (without("RMSNormalization"),)

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one RMSNormalization of a static rank."""
        if not is_op(node, "RMSNormalization"):
            return False
        x, scale = required_input(node, 0), required_input(node, 1)
        shape, first = static_shape(x, node), integer(node, "axis", -1)
        axes = list(range(first % len(shape), len(shape)))
        stash = ir.DataType(integer(node, "stash_type", ir.DataType.FLOAT))
        dtype = x.dtype or stash
        build = Builder(graph, node)
        tags = {COMPUTE_KEY: "float32"} if stash == ir.DataType.FLOAT else {}
        wide = x if dtype == stash else build.op("Cast", x, dtype=stash, to=int(stash))
        square = build.op("Mul", wide, wide, metadata=tags)
        mean = build.op("ReduceMean", square, build.integers(axes, "axes"), keepdims=1, metadata=tags)
        epsilon = build.scalar(number(node, "epsilon", 1e-5), stash, "epsilon")
        root = build.op("Sqrt", build.op("Add", mean, epsilon, metadata=tags), metadata=tags)
        quotient = build.op("Div", wide, root, metadata=tags)
        narrow = quotient if dtype == stash else build.op("Cast", quotient, dtype=dtype, to=int(dtype))
        build.replace_anchor(build.op("Mul", narrow, scale))
        return True
