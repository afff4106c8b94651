"""Convolutions over one, two or three spatial axes, with groups, strides and dilations."""

from __future__ import annotations

import onnx_ir as ir
from tvm import te, tirx

from targets.tvm.importer.kernel_builder import Fusion, loaded
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Element, Operand
from targets.tvm.importer.operators.broadcast import elementwise
from targets.tvm.importer.operators.shape import pad
from targets.tvm.importer.operators.windows import Windows, windows
from targets.tvm.importer.registry import converter


@converter("Conv")
def convert_conv(call: NodeCall) -> Operand:
    """[N, C, ...] ⋆ [O, C/groups, ...] → [N, O, ...], accumulated in float32."""
    source, weight, bias = call[0], call[1], call.optional(2)
    geometry = windows(call, source.shape[2:], weight.shape[2:])
    if any(geometry.before) or any(geometry.after):
        source = pad(call, source, (0, 0, *geometry.before), (0, 0, *geometry.after))
    product = _convolve(call, source, weight, geometry)
    if bias is None:
        if product.dtype == source.dtype:
            return product
        return elementwise(call, lambda x: x, source.dtype, [product], "round_product")
    column = call.builder.reshape(bias, (bias.shape[0], *(1 for _ in geometry.kernel)))
    return elementwise(call, lambda x, b: x + b, source.dtype, [product, column], "conv_bias")


def _convolve(call: NodeCall, source: Operand, weight: Operand, geometry: Windows) -> Operand:
    outputs, depth = weight.shape[:2]
    per_group = outputs // call.integer("group", 1)
    shape = (source.shape[0], outputs, *geometry.output)
    one_group = per_group == outputs

    def kernel(x_stored: Element, w_stored: Element) -> te.Tensor:
        x, w = loaded(x_stored, source.dtype), loaded(w_stored, weight.dtype)
        c = te.reduce_axis((0, depth), name="c")
        taps = [te.reduce_axis((0, extent), name=f"k{i}") for i, extent in enumerate(geometry.kernel)]

        def value(*indices: tirx.Expr) -> tirx.Expr:
            n, o, *position = indices
            at = [
                p * stride + tap * dilation
                for p, stride, tap, dilation in zip(
                    position, geometry.strides, taps, geometry.dilations, strict=True
                )
            ]
            channel = c if one_group else tirx.floordiv(o, per_group) * depth + c
            return te.sum(x(n, channel, *at) * w(o, c, *taps), axis=[c, *taps])

        return te.compute(shape, value, name="contraction")

    return call.builder.emit("conv", ir.DataType.FLOAT, [source, weight], kernel, Fusion.CONTRACTION)
