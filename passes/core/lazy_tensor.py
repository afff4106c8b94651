"""Tensors derived from weights: transposed or converted when they are written."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from program.lazy_tensor import BlockwiseTensor, map_rows, row_blocks, static_shape
from program.program import Array

TRANSPOSE_BLOCK_BYTES = 64 << 20
"""Bytes of a transposed block: each block reads the whole source, and most layers then need one read."""

_SOURCE = "npuc.transposed_from"
_SMALL_BYTES = 1024
_FLOAT16_MAX = 65504.0


def transposed(tensor: ir.TensorProtocol, name: str) -> BlockwiseTensor:
    """Returns the matrix [K, N] of a weight [N, …] whose other axes multiply to K.

    Args:
        tensor: [N, …], stored by rows.
        name: Name of the result.
    """
    shape = static_shape(tensor)
    rows, columns = shape[0], int(np.prod(shape[1:], dtype=np.int64))

    def read(start: int, stop: int) -> Array:
        result = np.empty((stop - start, rows), tensor.dtype.numpy())
        position = 0
        for block in row_blocks(tensor):
            end = position + block.shape[0]
            result[:, position:end] = block.reshape(-1, columns)[:, start:stop].T
            position = end
        return result

    result = BlockwiseTensor(
        read, tensor.dtype, (columns, rows), name=name, block_bytes=TRANSPOSE_BLOCK_BYTES
    )
    result.meta[_SOURCE] = tensor
    return result


def transpose_source(tensor: ir.TensorProtocol) -> ir.TensorProtocol | None:
    """Returns the weight [N, …] a tensor made by `transposed` comes from, else None."""
    source: ir.TensorProtocol | None = tensor.meta.get(_SOURCE)
    return source


def cast(tensor: ir.TensorProtocol, dtype: ir.DataType, name: str) -> ir.TensorProtocol:
    """Returns a float tensor in another float type, rounded half to even; float16 saturates at ±65504.

    Small tensors are converted now, large ones when they are written.
    """
    target = dtype.numpy()
    if tensor.nbytes <= _SMALL_BYTES:
        return ir.tensor(cast_array(np.asarray(tensor.numpy()), target), dtype=dtype, name=name)
    return map_rows(tensor, lambda block: cast_array(block, target), dtype, name=name)


def cast_array(array: Array, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Converts float values; finite ones beyond float16's range become ±65504."""
    if np.dtype(dtype) != np.float16:
        return array.astype(dtype)
    wide = array.astype(np.float32, copy=False)
    limited = np.where(np.isfinite(wide), np.clip(wide, -_FLOAT16_MAX, _FLOAT16_MAX), wide)
    return limited.astype(np.float16)
