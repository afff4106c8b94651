"""Softmax and its logarithm, computed in float32."""

from __future__ import annotations

from tvm import te, tirx

from targets.tvm.importer import element_types, math
from targets.tvm.importer.kernel_builder import Fusion, loaded
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Element, Operand
from targets.tvm.importer.operators.reduce import reduce_axes
from targets.tvm.importer.registry import converter


def _row(indices: tuple[tirx.Expr, ...], axis: int) -> list[tirx.Expr]:
    """Indices into a statistic that has extent 1 along the axis."""
    return [tirx.const(0, "int64") if i == axis else index for i, index in enumerate(indices)]


@converter("Softmax")
def convert_softmax(call: NodeCall) -> Operand:
    """e^(x − max) / Σ e^(x − max) along one axis."""
    source = call[0]
    axis = call.axis(-1, source.rank)

    def kernel(stored: Element) -> te.Tensor:
        x = loaded(stored, source.dtype)
        shape = source.shape
        largest = reduce_axes(x, shape, (axis,), te.max, "largest")

        powers = te.compute(shape, lambda *i: math.exp(x(*i) - largest(*_row(i, axis))), name="powers")
        total = reduce_axes(powers, shape, (axis,), te.sum, "total")
        return te.compute(
            shape,
            lambda *i: element_types.store(powers(*i) / total(*_row(i, axis)), source.dtype),
            name="result",
        )

    return call.builder.emit("softmax", source.dtype, [source], kernel, Fusion.OPAQUE)


@converter("LogSoftmax")
def convert_log_softmax(call: NodeCall) -> Operand:
    """Logarithm of softmax, x − max − log Σ e^(x − max), along one axis."""
    source = call[0]
    axis = call.axis(-1, source.rank)

    def kernel(stored: Element) -> te.Tensor:
        x = loaded(stored, source.dtype)
        shape = source.shape
        largest = reduce_axes(x, shape, (axis,), te.max, "largest")

        total = reduce_axes(
            lambda *i: math.exp(x(*i) - largest(*_row(i, axis))), shape, (axis,), te.sum, "total"
        )
        return te.compute(
            shape,
            lambda *i: element_types.store(
                x(*i) - largest(*_row(i, axis)) - math.log(total(*_row(i, axis))), source.dtype
            ),
            name="result",
        )

    return call.builder.emit("log_softmax", source.dtype, [source], kernel, Fusion.OPAQUE)
