"""Softmax and its logarithm, computed in float32."""

from __future__ import annotations

from tvm import te

from targets.tvm import element_types, math
from targets.tvm.kernel_builder import Fusion, loaded
from targets.tvm.node_call import NodeCall
from targets.tvm.operand import Element, Operand
from targets.tvm.operators.reduce import reduce_axes
from targets.tvm.registry import converter


@converter("Softmax")
def convert_softmax(call: NodeCall) -> Operand:
    """e^(x − max) / Σ e^(x − max) along one axis."""
    source = call[0]
    axis = call.axis(-1, source.rank)

    def kernel(stored: Element) -> te.Tensor:
        x = loaded(stored, source.dtype)
        shape = source.shape
        largest = reduce_axes(x, shape, (axis,), te.max, "largest")

        def row(indices: tuple[object, ...]) -> list[object]:
            return [0 if i == axis else index for i, index in enumerate(indices)]

        powers = te.compute(shape, lambda *i: math.exp(x(*i) - largest(*row(i))), name="powers")
        total = reduce_axes(powers, shape, (axis,), te.sum, "total")
        return te.compute(
            shape, lambda *i: element_types.store(powers(*i) / total(*row(i)), source.dtype), name="result"
        )

    return call.builder.emit("softmax", source.dtype, [source], kernel, Fusion.OPAQUE)


@converter("LogSoftmax")
def convert_log_softmax(call: NodeCall) -> Operand:
    """x − max − log Σ e^(x − max) along one axis."""
    source = call[0]
    axis = call.axis(-1, source.rank)

    def kernel(stored: Element) -> te.Tensor:
        x = loaded(stored, source.dtype)
        shape = source.shape
        largest = reduce_axes(x, shape, (axis,), te.max, "largest")

        def row(indices: tuple[object, ...]) -> list[object]:
            return [0 if i == axis else index for i, index in enumerate(indices)]

        total = reduce_axes(lambda *i: math.exp(x(*i) - largest(*row(i))), shape, (axis,), te.sum, "total")
        return te.compute(
            shape,
            lambda *i: element_types.store(x(*i) - largest(*row(i)) - math.log(total(*row(i))), source.dtype),
            name="result",
        )

    return call.builder.emit("log_softmax", source.dtype, [source], kernel, Fusion.OPAQUE)
