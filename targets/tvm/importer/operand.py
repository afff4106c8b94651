"""A tensor of the ONNX graph as kernels read it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import onnx_ir as ir
from tvm import relax, te, tirx

Element = Callable[..., tirx.Expr]
"""Indices to the expression of one element."""


@dataclasses.dataclass(frozen=True)
class Operand:
    """A tensor, not necessarily one in memory: a dequantised weight is an expression over its codes and scales.

    Because consumers read elements through `bind`, such an expression becomes part of the consumer's kernel, and the
    float weight never exists in memory.

    Attributes:
        buffers: The tensors in memory it is made from; the kernel receives these.
        shape: Static shape.
        dtype: ONNX element type of the elements.
        bind: Given the kernel's views of `buffers`, returns the function from indices to an element *as stored*
            (FP8: uint8 code; float16: float16).
        contiguous_axis: The axis along which neighbours are adjacent in memory.
        is_weight: Whether all buffers are parameters of the graph.
    """

    buffers: tuple[relax.Var, ...]
    shape: tuple[int, ...]
    dtype: ir.DataType
    bind: Callable[[Sequence[te.Tensor]], Element]
    contiguous_axis: int
    is_weight: bool = False

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def in_memory(self) -> bool:
        """Whether it is one buffer of its own shape."""
        return len(self.buffers) == 1 and self.bind is read_buffer


def read_buffer(tensors: Sequence[te.Tensor]) -> Element:
    """Binds a tensor that lies in memory as it is."""
    tensor = tensors[0]
    return lambda *indices: tensor(*indices)


def in_memory(
    buffer: relax.Var, shape: Sequence[int], dtype: ir.DataType, *, is_weight: bool = False
) -> Operand:
    """The operand of one buffer."""
    return Operand((buffer,), tuple(shape), dtype, read_buffer, len(shape) - 1, is_weight)
