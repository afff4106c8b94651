"""Comparisons and logic; results are bool."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
from tvm import tirx

from targets.tvm.importer import math
from targets.tvm.importer.operators.broadcast import elementwise
from targets.tvm.importer.registry import CONVERTERS

Predicate = Callable[..., tirx.Expr]


def _wide(x: tirx.Expr) -> tirx.Expr:
    """Truth values as integers: TVM gives LLVM a comparison of them that it refuses."""
    return x.astype("int8") if str(x.ty.dtype) == "bool" else x


PREDICATES: dict[str, Predicate] = {
    "Equal": lambda x, y: _wide(x) == _wide(y),
    "Greater": lambda x, y: x > y,
    "GreaterOrEqual": lambda x, y: x >= y,
    "Less": lambda x, y: x < y,
    "LessOrEqual": lambda x, y: x <= y,
    "And": tirx.all,
    "Or": tirx.any,
    "Xor": lambda x, y: _wide(x) != _wide(y),
    "Not": tirx.Not,
    "IsNaN": math.is_nan,
}
"""Operators that yield a truth value for each element."""


def _register(op_type: str, predicate: Predicate) -> None:
    CONVERTERS[op_type] = lambda call: elementwise(call, predicate, dtype=ir.DataType.BOOL)


for _op_type, _predicate in PREDICATES.items():
    _register(_op_type, _predicate)
