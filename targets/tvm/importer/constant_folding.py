"""Evaluates the nodes whose result is known at compile time: shape arithmetic, small constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from targets.errors import TargetError

StaticArray = npt.NDArray[Any]

FOLD_LIMIT = 1 << 16
"""Largest number of elements an evaluated node may read or write; a larger one becomes a kernel."""

_QUANTISATION = ("QuantizeLinear", "DequantizeLinear")


def fold(
    node: ir.Node,
    statics: Sequence[StaticArray | None],
    shapes: Sequence[tuple[int, ...] | None],
    where: str,
) -> list[StaticArray] | None:
    """The outputs of a node that depends on nothing but constants and static shapes, else none.

    Args:
        node: The node.
        statics: Compile-time values of its inputs, where known.
        shapes: Static shapes of its inputs, where known.
        where: For messages.

    Raises:
        TargetError: The evaluation fails.
    """
    if node.domain not in ("", "ai.onnx") or node.op_type in _QUANTISATION:
        return None
    if node.op_type == "Shape" and shapes[0] is not None:
        return [_shape_slice(node, shapes[0])]
    if node.op_type == "Size" and shapes[0] is not None:
        return [np.asarray(np.prod(shapes[0], dtype=np.int64))]
    present = [(v, s) for v, s in zip(node.inputs, statics, strict=True) if v is not None]
    if not all(s is not None and s.size <= FOLD_LIMIT for _, s in present):
        return None
    if node.op_type == "ConstantOfShape" and statics[0] is not None:
        if int(np.prod(statics[0], dtype=np.int64)) > FOLD_LIMIT * 16:
            return None
    elif not present and node.op_type != "Constant":
        return None
    return _evaluate(node, {v.name or "": s for v, s in present if s is not None}, where)


def _shape_slice(node: ir.Node, shape: tuple[int, ...]) -> StaticArray:
    start, end = node.attributes.get("start"), node.attributes.get("end")
    first = start.as_int() if start is not None else 0
    return np.asarray(shape[first : end.as_int() if end is not None else None], np.int64)


def _evaluate(node: ir.Node, feeds: dict[str, StaticArray], where: str) -> list[StaticArray] | None:
    proto = ir.to_proto(node)
    inputs = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in feeds.items()
    ]
    named = [value for value in node.outputs if value.name]
    outputs = [onnx.ValueInfoProto(name=value.name) for value in named]
    graph = onnx.helper.make_graph([proto], "constant", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 23)])
    try:
        results = ReferenceEvaluator(model).run(None, feeds)
    except Exception as error:
        raise TargetError(
            f"cannot evaluate constant {node.op_type}",
            where=where,
            received=str(error),
            remedy="check the model with onnx.checker",
        ) from error
    return [_typed(result, value) for result, value in zip(results, named, strict=True)]


def _typed(result: StaticArray, value: ir.Value) -> StaticArray:
    """The evaluator's result in the element type of the graph: numpy widens some."""
    array = np.asarray(result)
    return array if value.dtype is None else array.astype(value.dtype.numpy(), copy=False)
