"""QuantizeLinear and DequantizeLinear for FP8 and integers: per tensor, per axis and per block.

Codes are carried as floats with exact values, so that a gradient passes through them. With round and saturation as in
`straight_through`, the gradient of DequantizeLinear(QuantizeLinear(x, s), s) is 1 for x inside the range and 0 outside;
that of the scale is code − x / s inside and the saturated code outside ("Learned step size quantization", arXiv
1902.08153).
"""

from __future__ import annotations

import onnx_ir as ir
import torch
from torch import Tensor

from passes.learning.training.torch_graph.element_types import FP8, INTEGER_LIMITS
from passes.learning.training.torch_graph.op_node import OpNode
from passes.learning.training.torch_graph.registry import Gradient, operator
from passes.learning.training.torch_graph.straight_through import round_to, round_to_codes, straight_through


@operator("QuantizeLinear", gradient=Gradient.STRAIGHT_THROUGH, moves_data=True)
def quantize_linear(op: OpNode, x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    """round(x / scale) + zero point, saturated, as floats.

    Raises:
        PassError: The type is unknown, or codes are not to saturate.
    """
    dtype = _code_type(op)
    if dtype in FP8 and not op.integer("saturate", 1):
        raise op.unsupported("saturate = 0")
    # ONNX Runtime divides in the element type: a float16 quotient is rounded before it is quantised
    ratio = round_to(x / along_axis(op, scale, x), op.input_dtypes[0])
    return _encode(op, ratio, dtype, x, zero_point)


@operator("DequantizeLinear", gradient=Gradient.STRAIGHT_THROUGH, moves_data=True)
def dequantize_linear(op: OpNode, x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    """(code − zero point) · scale, rounded to the type of the scale. A trained weight is quantised first.

    Raises:
        PassError: The quantised type is unknown.
    """
    codes = quantize_weight(op, x, scale, zero_point) if op.quantises_weight else x
    return round_to(decode(op, codes, scale, zero_point), op.output_dtypes[0])


def quantize_weight(op: OpNode, weight: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    """Returns the codes of a float weight as a DequantizeLinear node reads them.

    Args:
        op: The DequantizeLinear node.
        weight: Float master weight.
        scale: Its scale.
        zero_point: Its zero point, if any.
    """
    dtype = op.input_dtypes[0] or ir.DataType.UNDEFINED
    if dtype not in FP8 and dtype not in INTEGER_LIMITS:
        raise op.unsupported(f"quantised type {dtype.name}")
    return _encode(op, weight / along_axis(op, scale, weight), dtype, weight, zero_point)


def decode(op: OpNode, codes: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    """(code − zero point) · scale in the carrier's type."""
    level = codes.to(scale.dtype)
    if zero_point is not None and not zero_point.is_floating_point():
        level = level - along_axis(op, zero_point, codes).to(scale.dtype)
    return level * along_axis(op, scale, codes)


def along_axis(op: OpNode, values: Tensor, x: Tensor) -> Tensor:
    """Shapes scales or zero points so that they broadcast over x."""
    if values.numel() == 1:
        return values.reshape(())
    axis = op.axis(1, x.ndim)
    block = op.integer("block_size", 0)
    if block:
        return values.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    return values.reshape([-1 if i == axis else 1 for i in range(x.ndim)])


def _encode(op: OpNode, ratio: Tensor, dtype: ir.DataType, x: Tensor, zero_point: Tensor | None) -> Tensor:
    if zero_point is None or zero_point.is_floating_point():
        return round_to_codes(ratio, dtype)  # ONNX requires an FP8 zero point to be zero
    # half to even is decided before the zero point is added
    shift = along_axis(op, zero_point, x).to(ratio.dtype)
    low, high = INTEGER_LIMITS[dtype]
    return (straight_through(ratio, torch.round) + shift).clamp(low, high)


def _code_type(op: OpNode) -> ir.DataType:
    dtype = op.output_dtypes[0]
    if len(op.input_dtypes) > 2 and op.input_dtypes[2] is not None:
        dtype = op.input_dtypes[2]
    dtype = dtype or ir.DataType(op.integer("output_dtype", 0) or int(ir.DataType.UINT8))
    if dtype not in FP8 and dtype not in INTEGER_LIMITS:
        raise op.unsupported(f"quantised type {dtype.name}")
    return dtype
