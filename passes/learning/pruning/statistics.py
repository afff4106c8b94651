"""Norms and means over fewer channels that divide by the number there was, as if the others were zero."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.rewrite import Builder, input_at, integer, is_op, number, required_input


def scale_mean(graph: ir.Graph, node: ir.Node, share: float) -> None:
    """ReduceMean(x) → ReduceMean(x) · share.

    Args:
        graph: Of the node.
        node: The ReduceMean.
        share: Channels that stay / channels there were.
    """
    build = Builder(graph, node)
    keep = integer(node, "keepdims", 1)
    mean = build.op("ReduceMean", *node.inputs, keepdims=keep)
    build.replace_anchor(build.op("Mul", mean, build.scalar(share, mean.dtype or ir.DataType.FLOAT, "share")))


def keep_layer_statistics(graph: ir.Graph, node: ir.Node, share: float) -> None:
    """Spells a norm over fewer channels out, so that its statistics are those over all channels, the others zero.

    With share s: mean m = s · mean(x), variance v = s · mean((x - m)²) + (1 - s) · m². RMSNormalization has m = 0.

    Args:
        graph: Of the node.
        node: LayerNormalization or RMSNormalization over the last axis.
        share: Channels that stay / channels there were.
    """
    build, x = Builder(graph, node), required_input(node, 0)
    dtype = x.dtype or ir.DataType.FLOAT
    epsilon = build.scalar(number(node, "epsilon", 1e-5), dtype, "epsilon")
    axes, kept = build.integers([-1], "axes"), build.scalar(share, dtype, "share")
    centred, correction = x, epsilon
    if is_op(node, "LayerNormalization"):
        mean = build.op("Mul", build.op("ReduceMean", x, axes, keepdims=1), kept)
        centred = build.op("Sub", x, mean)
        missing = build.scalar(1.0 - share, dtype, "missing")
        correction = build.op("Add", build.op("Mul", build.op("Mul", mean, mean), missing), epsilon)
    square = build.op("ReduceMean", build.op("Mul", centred, centred), axes, keepdims=1)
    variance = build.op("Add", build.op("Mul", square, kept), correction)
    result = build.op("Div", centred, build.op("Sqrt", variance))
    result = build.op("Mul", result, required_input(node, 1))
    bias = input_at(node, 2)
    build.replace_anchor(result if bias is None else build.op("Add", result, bias))
