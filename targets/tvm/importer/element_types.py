"""How ONNX element types are stored in memory and computed with in TIR."""

from __future__ import annotations

import onnx_ir as ir
from tvm import tirx

from targets.errors import TargetError
from targets.tvm.importer import fp8

STORAGE: dict[ir.DataType, str] = {
    ir.DataType.FLOAT: "float32",
    ir.DataType.FLOAT16: "float16",
    ir.DataType.DOUBLE: "float64",
    ir.DataType.INT8: "int8",
    ir.DataType.INT16: "int16",
    ir.DataType.INT32: "int32",
    ir.DataType.INT64: "int64",
    ir.DataType.UINT8: "uint8",
    ir.DataType.UINT16: "uint16",
    ir.DataType.UINT32: "uint32",
    ir.DataType.UINT64: "uint64",
    ir.DataType.BOOL: "bool",
    ir.DataType.FLOAT8E4M3FN: "uint8",
    ir.DataType.FLOAT8E5M2: "uint8",
}
"""TVM dtype of the bytes in memory. FP8 is kept as codes: TVM's own FP8 casts are wrong for 18 of 256 codes."""

FP8_TYPES = frozenset({ir.DataType.FLOAT8E4M3FN, ir.DataType.FLOAT8E5M2})
FLOAT_TYPES = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE}) | FP8_TYPES


def storage(dtype: ir.DataType) -> str:
    """The TVM dtype a tensor of this element type has in memory.

    Raises:
        TargetError: The element type has none.
    """
    if dtype not in STORAGE:
        raise TargetError(
            f"element type {dtype.name} cannot be lowered to CPU code",
            received=dtype.name,
            remedy="convert the graph to float32, float16 or FP8 QDQ first",
        )
    return STORAGE[dtype]


def load(stored: tirx.Expr, dtype: ir.DataType) -> tirx.Expr:
    """The value to compute with: float32 for the small float formats, else as stored."""
    if dtype == ir.DataType.FLOAT16:
        return stored.astype("float32")
    if dtype in FP8_TYPES:
        return fp8.decode(stored, dtype)
    return stored


def store(value: tirx.Expr, dtype: ir.DataType, *, saturate: bool = True) -> tirx.Expr:
    """Rounds a computed value to what memory holds: once per operator, as ONNX Runtime's CPU provider does.

    Args:
        value: Computed.
        dtype: Of the element.
        saturate: What is too large for FP8 becomes its largest finite number.
    """
    if dtype in FP8_TYPES:
        return fp8.encode(value.astype("float32"), dtype, saturate=saturate)
    return value.astype(storage(dtype))
