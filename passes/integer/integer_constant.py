"""Constants as integers: per-tensor codes of the activations' type, and int32 biases."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from passes.core.errors import PassError
from passes.integer.affine import Encoding, Range, quantise
from program.lazy_tensor import BlockwiseTensor, map_rows, row_blocks
from program.number_format import IntegerType
from program.program import Array


def tensor_range(tensor: ir.TensorProtocol, name: str) -> Range:
    """Returns the range of a constant together with 0, read block by block.

    Raises:
        PassError: A value is not finite.
    """
    low = high = 0.0
    for block in row_blocks(tensor):
        wide = np.asarray(block, np.float32)
        low, high = min(low, float(wide.min(initial=0.0))), max(high, float(wide.max(initial=0.0)))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise PassError("a constant is infinite or NaN", where=name, remedy="check the checkpoint")
    return Range(low, high)


def encoded_constant(tensor: ir.TensorProtocol, encoding: Encoding, name: str) -> BlockwiseTensor:
    """Returns the codes of a constant, computed when they are written; values beyond the range saturate."""

    def encode(block: Array) -> Array:
        return quantise(block, encoding.scale, encoding.zero_point, encoding.type)

    return map_rows(tensor, encode, encoding.type.onnx, name=name)


def encoded_bias(
    tensor: ir.TensorProtocol, input_scale: float, weight_scales: ir.TensorProtocol, name: str
) -> tuple[BlockwiseTensor, BlockwiseTensor]:
    """Returns int32 codes and scales of a bias; scale = input scale · weight scale, the unit of the accumulator.

    Args:
        tensor: [channels] or [1].
        input_scale: Scale of the activation.
        weight_scales: [channels], or [] for a weight with one scale.
        name: The results are `<name>` and `<name>.scale`.
    """
    channels = int(weight_scales.shape.numpy()[0]) if len(weight_scales.shape) else None
    size = int(tensor.size)

    def scales() -> npt.NDArray[np.float32]:
        return np.asarray(np.float32(input_scale) * np.asarray(weight_scales.numpy(), np.float32), np.float32)

    def codes(start: int, stop: int) -> Array:
        values = np.asarray(tensor.numpy(), np.float64).reshape(-1)[start:stop]
        units = scales().astype(np.float64)
        steps = np.rint(values / (units[start:stop] if channels == size else units))
        info: Any = np.iinfo(np.int32)
        return np.clip(steps, info.min, info.max).astype(np.int32)

    scale_shape = (channels,) if channels is not None else ()
    return (
        BlockwiseTensor(codes, IntegerType.INT32.onnx, (size,), name=name),
        BlockwiseTensor(
            lambda start, stop: scales()[start:stop] if channels is not None else scales(),
            ir.DataType.FLOAT,
            scale_shape,
            name=f"{name}.scale",
        ),
    )
