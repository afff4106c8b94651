"""Lazily picks and reorders rows and columns of weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from passes.core.lazy_tensor import TRANSPOSE_BLOCK_BYTES, transpose_source, transposed
from program.lazy_tensor import BlockwiseTensor, read_rows, rows_per_block, static_shape
from program.program import Array

Indices = npt.NDArray[np.int64]

_SMALL_BYTES = 1 << 10


def take(tensor: ir.TensorProtocol, chosen: Mapping[int, Indices], name: str) -> ir.TensorProtocol:
    """Returns a tensor with some axes reduced to chosen indices, in their order.

    Small tensors are read now, others when they are written, a block of rows at a time. The first rows of an external
    tensor are the same bytes of the same file.

    Args:
        tensor: Any weight.
        chosen: Axis → indices.
        name: Of the result.
    """
    if isinstance(tensor, ir.ExternalTensor) and _is_prefix(chosen):
        return _first_rows(tensor, len(chosen[0]), name)
    if tensor.nbytes <= _SMALL_BYTES:
        array = _take_axes(np.asarray(tensor.numpy()), chosen, first=0)
        return ir.Tensor(np.ascontiguousarray(array), dtype=tensor.dtype, name=name)
    source = transpose_source(tensor)
    if source is not None and len(source.shape) == 2:  # one pass over the file instead of one for each block
        return transposed(take(source, {1 - axis: index for axis, index in chosen.items()}, name), name)
    return _lazily(tensor, chosen, name)


def _is_prefix(chosen: Mapping[int, Indices]) -> bool:
    return chosen.keys() == {0} and bool(np.array_equal(chosen[0], np.arange(len(chosen[0]))))


def _first_rows(tensor: ir.ExternalTensor, rows: int, name: str) -> ir.ExternalTensor:
    shape = static_shape(tensor)
    length = tensor.nbytes // shape[0] * rows
    return ir.ExternalTensor(
        tensor.location,
        tensor.offset,
        length,
        tensor.dtype,
        shape=ir.Shape((rows, *shape[1:])),
        name=name,
        base_dir=tensor.base_dir,
    )


def _lazily(tensor: ir.TensorProtocol, chosen: Mapping[int, Indices], name: str) -> BlockwiseTensor:
    shape = list(static_shape(tensor))
    for axis, index in chosen.items():
        shape[axis] = len(index)
    rows = chosen.get(0)

    def read(start: int, stop: int) -> Array:
        block = read_rows(tensor, start, stop) if rows is None else _rows(tensor, rows[start:stop])
        return np.ascontiguousarray(_take_axes(block, chosen, first=1))

    block_bytes = TRANSPOSE_BLOCK_BYTES if transpose_source(tensor) is not None else None
    if block_bytes is None:
        return BlockwiseTensor(read, tensor.dtype, tuple(shape), name=name)
    return BlockwiseTensor(read, tensor.dtype, tuple(shape), name=name, block_bytes=block_bytes)


def _take_axes(array: Array, chosen: Mapping[int, Indices], first: int) -> Array:
    for axis, index in chosen.items():
        if axis >= first:
            array = np.take(array, index, axis=axis)
    return array


def _rows(tensor: ir.TensorProtocol, wanted: Indices) -> Array:
    """Reads scattered rows in the order of the file, holding a block of them beside the result."""
    shape = static_shape(tensor)
    result = np.empty((len(wanted), *shape[1:]), tensor.dtype.numpy())
    order = np.argsort(wanted, kind="stable")
    step = rows_per_block(shape, tensor.dtype.itemsize)
    position = 0
    while position < len(order):
        start = int(wanted[order[position]])
        end = position + int(np.searchsorted(wanted[order[position:]], start + step))
        stop = int(wanted[order[end - 1]]) + 1
        result[order[position:end]] = read_rows(tensor, start, stop)[wanted[order[position:end]] - start]
        position = end
    return result
