"""An FP8 weight as float16 values, decoded from blocks of rows when it is written."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from passes.core.lazy_tensor import TRANSPOSE_BLOCK_BYTES, cast_array
from program.lazy_tensor import BlockwiseTensor, read_rows, static_shape
from program.program import Array

_CACHE_ELEMENTS = 1 << 18
"""Elements decoded at a time: 1 MiB of float32 stays in the second-level cache."""


def decoded_weight(
    codes: ir.TensorProtocol, scales: ir.TensorProtocol, axis: int, name: str
) -> BlockwiseTensor:
    """Returns float16(code · scale), as ONNX Runtime's DequantizeLinear computes it; nothing is read before it is.

    The product is formed in float32 and rounded once, half to even. It is beyond ±65504 only where rounding the scale
    to float16 lifted it there; it then saturates.

    Args:
        codes: FLOAT8E4M3FN or FLOAT8E5M2 of rank ≥ 1.
        scales: float16 or float32: one, or one per slice of `axis`.
        axis: Axis of the scales.
        name: Name of the result.
    """
    shape = static_shape(codes)

    def read(start: int, stop: int) -> Array:
        factors = _broadcast(np.asarray(scales.numpy(), np.float32), axis, len(shape))
        return _decode_rows(
            read_rows(codes, start, stop), factors[start:stop] if len(factors) > 1 else factors
        )

    return BlockwiseTensor(read, ir.DataType.FLOAT16, shape, name=name, block_bytes=TRANSPOSE_BLOCK_BYTES)


def _broadcast(scales: Array, axis: int, rank: int) -> Array:
    """Returns the scales with a shape that broadcasts against the weight."""
    if scales.size == 1:
        return scales.reshape([1] * rank)
    return scales.reshape([-1 if index == axis else 1 for index in range(rank)])


def _decode_rows(codes: Array, scales: Array) -> Array:
    """Multiplies a cache-sized group of rows at a time; the table of 256 values is exact in float32."""
    table = np.arange(256, dtype=np.uint8).view(codes.dtype).astype(np.float32)
    values = np.empty(codes.shape, np.float16)
    step = max(1, _CACHE_ELEMENTS // max(1, codes[0].size)) if len(codes) else 1
    for start in range(0, codes.shape[0], step):
        rows = slice(start, start + step)
        factors = scales[rows] if len(scales) > 1 else scales
        values[rows] = cast_array(table[codes[rows].view(np.uint8)] * factors, np.float16)
    return values
