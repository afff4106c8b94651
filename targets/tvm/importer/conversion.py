"""Runs the converter of one node, and holds it to what the graph says about the results."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from program.errors import DiagnosticError
from targets.errors import TargetError
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Operand
from targets.tvm.importer.registry import CONVERTERS

_ANY_FLOAT = frozenset(
    {
        "Abs", "Add", "Cast", "Concat", "Div", "Equal", "Expand", "Flatten", "Gather", "GatherElements", "GatherND",
        "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Mul", "Neg", "Pad", "Reshape", "Slice",
        "Split", "Squeeze", "Sub", "Sum", "Tile", "Transpose", "Unsqueeze", "Where",
    }
)  # fmt: skip
"""Operators whose kernels take float64; all others compute in float32."""


def convert(call: NodeCall) -> dict[ir.Value, Operand]:
    """Returns the operand of each output that is read.

    Raises:
        TargetError: The node has a form without a kernel, or the result is not what shape inference says.
    """
    if call.node.op_type not in _ANY_FLOAT:
        _require_no_double(call)
    try:
        results = CONVERTERS[call.node.op_type](call)
    except DiagnosticError:
        raise
    except Exception as error:  # TVM raises many unrelated classes; the user needs the node
        raise TargetError(
            f"{call.node.op_type} cannot be lowered to CPU code in this form",
            where=call.where,
            received=f"{_signature(call.node)}: {type(error).__name__}: {_first_line(error)}",
            remedy="compute it in float32 or with other operators; it is a fault of npuc, report this model",
        ) from error
    listed = [results] if isinstance(results, Operand) else list(results)
    _check_number(call, listed)
    made = dict(zip(call.node.outputs, listed, strict=False))
    for value, operand in made.items():
        _check_kind(call, value, operand)
    return made


def _require_no_double(call: NodeCall) -> None:
    for index, operand in enumerate(call.operands):
        if operand is not None and operand.dtype == ir.DataType.DOUBLE:
            raise TargetError(
                f"{call.node.op_type} cannot be lowered to CPU code: it computes in float32, not in float64",
                where=call.where,
                received=f"input {index}: DOUBLE{list(operand.shape)}",
                remedy="cast the input to float32 in front of the operator",
            )


def _check_number(call: NodeCall, results: Sequence[Operand]) -> None:
    for index, value in enumerate(call.node.outputs[len(results) :], len(results)):
        if value.uses() or value.is_graph_output():
            raise call.unsupported(f"output {index} ({value.name}) is not computed")


def _check_kind(call: NodeCall, value: ir.Value, operand: Operand) -> None:
    inferred = value.shape.numpy() if value.shape is not None and value.shape.is_static() else operand.shape
    if tuple(inferred) == operand.shape and value.dtype in (None, operand.dtype):
        return
    raise TargetError(
        f"the lowered {call.node.op_type} has another shape or element type than the graph says",
        where=call.where,
        received=f"{operand.dtype.name}{list(operand.shape)} for {value.dtype}{value.shape}",
        remedy="check the model with onnx.checker; if it is correct, report it: it is a fault of npuc",
    )


def _signature(node: ir.Node) -> str:
    inputs = ", ".join("-" if value is None else f"{value.dtype}{value.shape}" for value in node.inputs)
    return f"{node.op_type}({inputs})"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")
