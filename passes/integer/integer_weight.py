"""A weight as integer codes and per-channel scales, both computed from blocks of rows when they are written."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.lazy_tensor import TRANSPOSE_BLOCK_BYTES, transpose_source
from passes.float.fp8_weight import channel_absmax
from passes.integer.affine import quantise, storable_scale
from passes.integer.int4_tensor import Int4Tensor
from program.lazy_tensor import BlockwiseTensor, read_rows, row_blocks, static_shape
from program.number_format import IntegerType
from program.program import Array

CLIPPING = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5)
"""Shares of a channel's largest magnitude that the largest code may stand for."""


def integer_weight(
    weight: ir.TensorProtocol, kind: IntegerType, axis: int, name: str
) -> tuple[BlockwiseTensor, BlockwiseTensor, ir.TensorProtocol]:
    """Returns codes, scales and zero points of a weight; nothing is read before they are.

    Symmetric, one scale per output channel. 8-bit codes cover the largest magnitude; 4-bit codes the share of it that
    has the least squared error of that channel (a step of 1/7 of an outlier is worse than clipping it).

    Args:
        weight: Float weight of rank ≥ 2.
        kind: INT8 or INT4.
        axis: Axis of the output channels, the first or the last.
        name: Name of the weight; the results are `<name>.<type>`, `….scale` and `….zero_point`.
    """
    shape = static_shape(weight)

    @functools.cache
    def scales() -> npt.NDArray[np.float32]:
        largest = channel_absmax(weight, axis)
        if not np.isfinite(largest).all():
            raise PassError("a weight is infinite or NaN", where=name, remedy="check the checkpoint")
        shares = least_error_shares(weight, largest, kind, axis) if kind is IntegerType.INT4 else 1.0
        return np.array([storable_scale(float(top) / kind.highest) for top in largest * shares], np.float32)

    def read(start: int, stop: int) -> Array:
        rows = slice(start, stop) if axis == 0 else slice(None)
        block = read_rows(weight, start, stop).astype(np.float32)
        return _symmetric(block, _along(scales()[rows], axis, len(shape)), kind)

    tensor = Int4Tensor if kind is IntegerType.INT4 else BlockwiseTensor
    codes = tensor(
        read, kind.onnx, shape, name=f"{name}.{kind.value}", block_bytes=TRANSPOSE_BLOCK_BYTES // 4
    )
    scale_name = f"{name}.{kind.value}.scale"
    lazy = BlockwiseTensor(
        lambda start, stop: scales()[start:stop], ir.DataType.FLOAT, (shape[axis],), name=scale_name
    )
    # all 0: written out, since not every compiler decodes codes without them
    zeros = np.zeros(shape[axis], kind.numpy)
    return codes, lazy, ir.tensor(zeros, dtype=kind.onnx, name=f"{name}.{kind.value}.zero_point")


def least_error_shares(
    weight: ir.TensorProtocol, largest: npt.NDArray[np.float32], kind: IntegerType, axis: int
) -> npt.NDArray[np.float32]:
    """Returns, for each channel, the member of `CLIPPING` with the least squared quantisation error.

    Args:
        weight: Float weight.
        largest: Largest magnitude of each channel.
        kind: Type of the codes.
        axis: The first or the last axis.
    """
    source = transpose_source(weight)
    if source is not None and axis != 0:
        return least_error_shares(source, largest, kind, 0)
    rank = len(weight.shape)
    errors = np.zeros((len(CLIPPING), len(largest)))
    position = 0
    for block in row_blocks(weight):
        rows = slice(position, position + block.shape[0]) if axis == 0 else slice(None)
        position += block.shape[0]
        for index, share in enumerate(CLIPPING):
            errors[index, rows] += _channel_errors(
                block.astype(np.float32), largest[rows] * share, kind, axis, rank
            )
    return np.asarray(np.asarray(CLIPPING, np.float32)[np.argmin(errors, axis=0)], np.float32)


def _channel_errors(
    block: npt.NDArray[np.float32], tops: npt.NDArray[np.float32], kind: IntegerType, axis: int, rank: int
) -> npt.NDArray[np.float64]:
    scale = _along(np.where(tops > 0, tops / kind.highest, 1.0).astype(np.float32), axis, rank)
    difference = _symmetric(block, scale, kind).astype(np.float32) * scale - block
    others = tuple(index for index in range(rank) if index != axis)
    return np.asarray(np.square(difference, dtype=np.float64).sum(axis=others), np.float64)


def _symmetric(block: Array, scale: Array, kind: IntegerType) -> Array:
    """Leaves out the least code, so that the range is symmetric."""
    codes = quantise(block, scale, 0, kind)
    lowest = np.asarray(-kind.highest, kind.numpy)
    return np.asarray(np.maximum(codes, lowest), kind.numpy)


def _along(scales: npt.NDArray[np.float32], axis: int, rank: int) -> npt.NDArray[np.float32]:
    return np.asarray(scales.reshape([-1 if index == axis else 1 for index in range(rank)]), np.float32)
