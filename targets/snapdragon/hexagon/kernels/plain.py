"""Pieces of the plain kernels: scalar loops over the graph's own order, without a layout pass."""

from __future__ import annotations

from typing import Any

from tvm.script.ir_builder import tirx as T

from targets.snapdragon.hexagon.kernels.writer import KernelWriter
from targets.snapdragon.hexagon.program.fixed_point import MULTIPLIER_BITS, FixedPointScale
from targets.snapdragon.hexagon.program.tensor import LEVELS, QuantizedTensor


class PlainScale:
    """Arguments that hold a scale, and its 64-bit arithmetic."""

    def __init__(self, writer: KernelWriter, scale: FixedPointScale) -> None:
        self._multiplier = writer.constant(scale.multiplier)
        self._shift = writer.constant(scale.right_shift)
        self._left_shift = scale.left_shift
        self._per_channel = scale.multiplier.size > 1

    def apply(self, value: Any, channel: Any) -> Any:
        """`FixedPointScale.apply` of one int32."""
        index = channel if self._per_channel else 0
        return scaled(value, self._multiplier[index], self._shift[index], self._left_shift)


def scaled(value: Any, multiplier: Any, right_shift: Any, left_shift: int) -> Any:
    """(value · 2^left_shift · multiplier + half) >> (31 + right_shift), in 64 bits."""
    shift = T.Cast("int64", right_shift) + T.int64(MULTIPLIER_BITS)
    raised = T.Cast("int64", value) << T.int64(left_shift)
    product = raised * T.Cast("int64", multiplier)
    return T.Cast("int32", (product + (T.int64(1) << (shift - T.int64(1)))) >> shift)


def clamp(value: Any, minimum: int) -> Any:
    """The code of an int32."""
    return T.Cast("uint8", T.max(T.min(value, T.int32(LEVELS)), T.int32(minimum)))


def offset(tensor: QuantizedTensor, channel: Any, row: Any, column: Any) -> Any:
    """Byte of an element in the graph's order."""
    strides = tensor.strides
    return channel * strides[0] + row * strides[1] + column * strides[2]


def code(buffer: Any, index: Any) -> Any:
    """A code as int32."""
    return T.Cast("int32", buffer[index])


def cell() -> Any:
    """A local int32 variable."""
    return T.alloc_buffer((1,), "int32")


def put(variable: Any, value: Any) -> None:
    """Assigns to a local variable."""
    T.buffer_store(variable, value, [0])
