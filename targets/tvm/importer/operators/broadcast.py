"""Numpy-style broadcasting of element functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir
from tvm import tirx

from targets.tvm.importer.kernel_builder import Fusion
from targets.tvm.importer.math import bind_all
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Element, Operand


def broadcast_indices(
    shape: Sequence[int], indices: Sequence[tirx.Expr], result_shape: Sequence[int] | None = None
) -> list[tirx.Expr]:
    """Indices into a tensor of `shape` for an element of the (larger) result.

    Axes are aligned right; a repeated axis (extent 1 here, more in the result) is read at 0. An axis that has extent 1
    in both keeps its index, or TVM would not see that the access is element-wise and would not fuse it.
    """
    skipped = len(indices) - len(shape)
    extents = (result_shape or (0,) * len(indices))[skipped:]
    return [
        tirx.const(0, "int64") if own == 1 and extent != 1 else index
        for own, extent, index in zip(shape, extents, indices[skipped:], strict=True)
    ]


def elementwise(
    call: NodeCall,
    function: Callable[..., tirx.Expr],
    dtype: ir.DataType | None = None,
    operands: Sequence[Operand] | None = None,
    name: str | None = None,
    fusion: Fusion | None = None,
    *,
    saturate: bool = True,
) -> Operand:
    """Applies a scalar function to broadcast operands.

    Args:
        call: The node.
        function: Takes one computed value for each operand.
        dtype: Result element type; that of the first operand if none.
        operands: Those of the node if none.
        name: Of the kernel; from the operator type if none.
        fusion: As for `KernelBuilder.emit`.
        saturate: As for `element_types.store`.
    """
    inputs = call.present() if operands is None else tuple(operands)
    shape = np.broadcast_shapes(*(operand.shape for operand in inputs))

    def body(*elements: Element) -> Callable[..., tirx.Expr]:
        def value(*indices: tirx.Expr) -> tirx.Expr:
            pairs = zip(elements, inputs, strict=True)
            values = [element(*broadcast_indices(o.shape, indices, shape)) for element, o in pairs]
            return bind_all(values, function)

        return value

    kernel = name or call.node.op_type.lower()
    return call.builder.compute(
        kernel, shape, dtype or inputs[0].dtype, inputs, body, fusion, saturate=saturate
    )
