"""Emits kernels into the Relax function under construction."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir
from tvm import relax, te, tirx, topi

from program.program import Array
from targets.tvm.importer import element_types
from targets.tvm.importer.operand import Element, Operand, in_memory

Body = Callable[..., tirx.Expr]
Kernel = Callable[..., te.Tensor]


class Fusion(enum.IntEnum):
    """What FuseOps may do with a kernel (TVM's `OpPatternKind`)."""

    INJECTIVE = 2
    CONTRACTION = 4
    OPAQUE = 8


class KernelBuilder:
    """Owns the block builder and the parameters that stand for constants.

    Args:
        block_builder: Inside a dataflow block.
    """

    def __init__(self, block_builder: relax.BlockBuilder) -> None:
        self._block_builder = block_builder
        self._constants: dict[tuple[str, tuple[int, ...], bytes], relax.Var] = {}

    @property
    def constants(self) -> list[tuple[relax.Var, bytes]]:
        """Parameters for the small constants, each with its bytes, in order of first use."""
        return [(variable, key[2]) for key, variable in self._constants.items()]

    def constant(self, array: Array, dtype: ir.DataType) -> Operand:
        """The operand of a compile-time array.

        It becomes a parameter of the function, never an immediate, so that layers that differ only in their constants
        share one kernel. Equal constants are stored once.
        """
        raw = np.asarray(array, order="C")  # np.ascontiguousarray makes a scalar one-dimensional
        key = (element_types.storage(dtype), tuple(raw.shape), raw.tobytes())
        if key not in self._constants:
            kind = relax.TensorType(raw.shape, element_types.storage(dtype))
            self._constants[key] = relax.Var(f"constant_{len(self._constants)}", kind)
        return in_memory(self._constants[key], raw.shape, dtype, is_weight=True)

    def emit(
        self,
        name: str,
        dtype: ir.DataType,
        operands: Sequence[Operand],
        kernel: Kernel,
        fusion: Fusion | None = None,
    ) -> Operand:
        """Emits one kernel.

        Args:
            name: Of the kernel.
            dtype: ONNX element type of the result.
            operands: What it reads.
            kernel: Given one `Element` for each operand (elements as stored), returns the result tensor.
            fusion: How it may be fused; found out by TVM if none.
        """
        counts = [len(operand.buffers) for operand in operands]

        def bound(*tensors: te.Tensor) -> te.Tensor:
            elements, start = [], 0
            for operand, count in zip(operands, counts, strict=True):
                elements.append(operand.bind(tensors[start : start + count]))
                start += count
            return kernel(*elements)

        buffers = [buffer for operand in operands for buffer in operand.buffers]
        attributes = {} if fusion is None else {"op_pattern": int(fusion)}
        variable = self._block_builder.emit_te(
            bound, *buffers, primfunc_name_hint=name, primfunc_attrs=attributes
        )
        return in_memory(variable, [int(extent) for extent in variable.ty.shape.values], dtype)

    def compute(
        self,
        name: str,
        shape: Sequence[int],
        dtype: ir.DataType,
        operands: Sequence[Operand],
        body: Callable[..., Body],
        fusion: Fusion | None = None,
        *,
        saturate: bool = True,
    ) -> Operand:
        """Emits a kernel that computes each element on its own.

        Args:
            name: Of the kernel.
            shape: Of the result.
            dtype: ONNX element type of the result; the computed value is rounded to it.
            operands: What it reads.
            body: Given one function from indices to a *computable* value (float16 as float32) for each operand,
                returns the function from result indices to the value.
            fusion: How it may be fused.
            saturate: As for `element_types.store`.
        """

        def rounded(value: tirx.Expr) -> tirx.Expr:
            return element_types.store(value, dtype, saturate=saturate)

        def kernel(*elements: Element) -> te.Tensor:
            function = body(*(loaded(e, o.dtype) for e, o in zip(elements, operands, strict=True)))
            return te.compute(tuple(shape), lambda *i: rounded(function(*i)), name=f"{name}_element")

        return self.emit(name, dtype, operands, kernel, fusion)

    def move(
        self,
        name: str,
        shape: Sequence[int],
        operands: Sequence[Operand],
        body: Callable[..., Body],
        fusion: Fusion | None = None,
    ) -> Operand:
        """As `compute`, for operators that only move elements: they are copied as stored."""

        def kernel(*elements: Element) -> te.Tensor:
            return te.compute(tuple(shape), body(*elements), name=f"{name}_element")

        return self.emit(name, operands[0].dtype, operands, kernel, fusion)

    def reshape(self, operand: Operand, shape: Sequence[int]) -> Operand:
        """The same elements in another shape; in memory it is the same buffer.

        The kernel is kept apart from its neighbours, because only then does lowering recognise it as a view.
        """
        if tuple(shape) == operand.shape:
            return operand
        target = tuple(shape)
        if math.prod(operand.shape) == 0 or not operand.in_memory:
            operand = self.materialise(operand)
        variable = self._block_builder.emit_te(
            lambda tensor: topi.reshape(tensor, target),
            operand.buffers[0],
            primfunc_name_hint="reshape",
            primfunc_attrs={"op_pattern": int(Fusion.OPAQUE)},
        )
        return in_memory(variable, target, operand.dtype)

    def materialise(self, operand: Operand) -> Operand:
        """The operand as one buffer; computes it if it is an expression."""
        return operand if operand.in_memory else self.copy(operand)

    def copy(self, operand: Operand) -> Operand:
        """The operand in a buffer of its own."""
        return self.move("materialise", operand.shape, [operand], lambda element: element)


def loaded(element: Element, dtype: ir.DataType) -> Element:
    """Wraps an element function so that it yields values to compute with."""
    return lambda *indices: element_types.load(element(*indices), dtype)
