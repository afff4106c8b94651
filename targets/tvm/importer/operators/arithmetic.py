"""Remainders and powers."""

from __future__ import annotations

from collections.abc import Callable

from tvm import tirx

from targets.tvm.importer import element_types, math
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Operand
from targets.tvm.importer.operators.broadcast import elementwise
from targets.tvm.importer.registry import converter

_EXPONENT_BITS = 6
"""Of an integer power: 63 doublings leave the widest integer type."""


@converter("Mod")
def convert_mod(call: NodeCall) -> Operand:
    """Remainder: sign of the divisor, or of the dividend with `fmod`."""
    of_dividend = call.integer("fmod", 0) == 1
    if call[0].dtype in element_types.FLOAT_TYPES:
        return elementwise(call, math.fmod if of_dividend else math.floor_mod)
    return elementwise(call, tirx.truncmod if of_dividend else tirx.floormod)


@converter("Pow")
def convert_pow(call: NodeCall) -> Operand:
    """xʸ; the common constant exponents avoid the logarithm, integers are multiplied."""
    exponent, is_float = call.statics[1], call[0].dtype in element_types.FLOAT_TYPES
    if exponent is not None and exponent.size == 1 and exponent.ndim <= call[0].rank:
        function = _known_power(float(exponent.reshape(-1)[0]), is_float=is_float)
        if function is not None:
            return elementwise(call, function, operands=[call[0]])
    if is_float:
        return elementwise(call, lambda x, y: math.power(x.astype("float32"), y.astype("float32")))
    return elementwise(call, _integer_power)


def _known_power(exponent: float, *, is_float: bool) -> Callable[[tirx.Expr], tirx.Expr] | None:
    whole: dict[float, Callable[[tirx.Expr], tirx.Expr]] = {
        1.0: lambda x: x,
        2.0: lambda x: x * x,
        3.0: lambda x: x * x * x,
    }
    broken: dict[float, Callable[[tirx.Expr], tirx.Expr]] = {
        0.5: tirx.sqrt,
        -1.0: lambda x: math.constant(1.0) / x,
        -0.5: lambda x: math.constant(1.0) / tirx.sqrt(x),
    }
    return (whole | broken if is_float else whole).get(exponent)


def _integer_power(x: tirx.Expr, y: tirx.Expr) -> tirx.Expr:
    """An integer to an integer, or to a float that need not be whole; the result is cut off towards zero."""
    if not str(y.ty.dtype).startswith("float"):
        return _product(x, y.astype("int64"))
    real = math.power(x.astype("float32"), y.astype("float32")).astype(x.ty.dtype)
    return tirx.Select(tirx.floor(y) == y, _product(x, y.astype("int64")), real)


def _product(x: tirx.Expr, y: tirx.Expr) -> tirx.Expr:
    """xʸ by squaring; a negative exponent leaves nothing but of 1 and -1."""
    one, zero = tirx.const(1, x.ty.dtype), tirx.const(0, x.ty.dtype)
    result, square = one, x
    for bit in range(_EXPONENT_BITS):
        is_set = ((y >> tirx.const(bit, "int64")) & tirx.const(1, "int64")) == tirx.const(1, "int64")
        result = result * tirx.Select(is_set, square, one)
        square = square * square
    is_unit = tirx.any(x == one, x == zero - one)
    return tirx.Select(tirx.any(y >= tirx.const(0, "int64"), is_unit), result, zero)
