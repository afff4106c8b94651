"""Arithmetic on elements."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
from tvm import tirx

from targets.tvm.importer import element_types, math
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Operand
from targets.tvm.importer.operators.broadcast import elementwise
from targets.tvm.importer.registry import CONVERTERS, converter

Scalar = Callable[..., tirx.Expr]


def _zero(x: tirx.Expr) -> tirx.Expr:
    return tirx.const(0, x.ty.dtype)


def _is_float(operand: Operand) -> bool:
    return operand.dtype in element_types.FLOAT_TYPES


FUNCTIONS: dict[str, Scalar] = {
    "Add": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
    "Sqrt": tirx.sqrt,
    "Reciprocal": lambda x: math.constant(1.0) / x,
    "Abs": tirx.abs,
    "Exp": math.exp,
    "Log": math.log,
    "Erf": math.erf,
    "Sin": math.sin,
    "Cos": math.cos,
    "Floor": tirx.floor,
    "Ceil": tirx.ceil,
    "Round": math.round_half_even,
}
"""Operators that are one scalar expression, whatever their attributes."""


def _register(op_type: str, function: Scalar) -> None:
    CONVERTERS[op_type] = lambda call: elementwise(call, function)


for _op_type, _function in FUNCTIONS.items():
    _register(_op_type, _function)


@converter("Neg")
def convert_neg(call: NodeCall) -> Operand:
    """−x; a float's sign bit is flipped, so that −0 comes out of 0."""
    if _is_float(call[0]):
        return elementwise(call, lambda x: x * tirx.const(-1, x.ty.dtype))
    return elementwise(call, lambda x: _zero(x) - x)


@converter("Sign")
def convert_sign(call: NodeCall) -> Operand:
    """−1, 0 or 1."""

    def sign(x: tirx.Expr) -> tirx.Expr:
        one = tirx.const(1, x.ty.dtype)
        return tirx.Select(x > _zero(x), one, tirx.Select(x < _zero(x), _zero(x) - one, x))

    return elementwise(call, sign)


@converter("Div")
def convert_div(call: NodeCall) -> Operand:
    """Quotient; integers are truncated towards zero."""
    if _is_float(call[0]):
        return elementwise(call, lambda x, y: x / y)
    return elementwise(call, tirx.truncdiv)


def _fold(call: NodeCall, function: Scalar, name: str) -> Operand:
    result = call[0]
    for operand in call.present()[1:]:
        result = elementwise(call, function, operands=[result, operand], name=name)
    return result


def _is_nan(x: tirx.Expr) -> tirx.Expr:
    return math.is_nan(x) if str(x.ty.dtype) == "float32" else tirx.const(False, "bool")


def _larger(x: tirx.Expr, y: tirx.Expr) -> tirx.Expr:
    return tirx.Select(tirx.any(x > y, _is_nan(x)), x, y)


def _smaller(x: tirx.Expr, y: tirx.Expr) -> tirx.Expr:
    return tirx.Select(tirx.any(x < y, _is_nan(x)), x, y)


@converter("Max")
def convert_max(call: NodeCall) -> Operand:
    """Largest of any number of operands."""
    return _fold(call, _larger, "max")


@converter("Min")
def convert_min(call: NodeCall) -> Operand:
    """Smallest of any number of operands."""
    return _fold(call, _smaller, "min")


@converter("Sum")
def convert_sum(call: NodeCall) -> Operand:
    """Sum of any number of operands."""
    return _fold(call, lambda x, y: x + y, "add")


@converter("Clip")
def convert_clip(call: NodeCall) -> Operand:
    """min(max(x, low), high); either bound may be missing. NaN stays NaN."""
    result = call[0]
    low, high = call.optional(1), call.optional(2)
    if low is not None:
        result = elementwise(
            call, lambda x, y: tirx.Select(x < y, y, x), operands=[result, low], name="clip_low"
        )
    if high is not None:
        result = elementwise(
            call, lambda x, y: tirx.Select(x > y, y, x), operands=[result, high], name="clip_high"
        )
    return result


@converter("Where")
def convert_where(call: NodeCall) -> Operand:
    """Chooses x where the condition holds, else y."""
    return elementwise(call, tirx.Select, dtype=call[1].dtype)


@converter("Cast")
def convert_cast(call: NodeCall) -> Operand:
    """Value in another element type; FP8 rounds half to even and saturates if asked, bool is "not zero"."""
    source, dtype = call[0], ir.DataType(call.integer("to", 0))
    if dtype == source.dtype:
        return source
    if dtype == ir.DataType.BOOL:
        return elementwise(call, lambda x: x != _zero(x), dtype=dtype)
    saturate = call.integer("saturate", 1) == 1
    return elementwise(call, lambda x: x, dtype=dtype, name=f"cast_{dtype.name.lower()}", saturate=saturate)


@converter("Identity")
def convert_identity(call: NodeCall) -> Operand:
    """The operand itself."""
    return call[0]


@converter("Dropout")
def convert_dropout(call: NodeCall) -> Operand:
    """The operand itself: dropout does nothing at inference."""
    training = call.static(2)
    if training is not None and bool(training.any()):
        raise call.unsupported("it drops at random in training mode")
    return call[0]
