"""FP8 codes to float32 and back in TIR integer arithmetic, exact for every code and every float32.

Formats are those of "FP8 Formats for Deep Learning" (arXiv:2209.05433): E4M3 (no infinities, NaN = s.1111.111,
largest 448) and E5M2 (IEEE-like, largest finite 57344). Encoding rounds half to even and saturates unless told not
to, as ONNX QuantizeLinear and Cast.
"""

from __future__ import annotations

import dataclasses

import onnx_ir as ir
from tvm import tirx

from targets.tvm.importer.math import bind

_FLOAT32_BIAS = 127
_FLOAT32_MANTISSA_BITS = 23
_FLOAT32_INFINITY = 0x7F800000


@dataclasses.dataclass(frozen=True)
class Format:
    """An FP8 format.

    Attributes:
        mantissa_bits: Stored fraction bits.
        bias: Exponent bias.
        largest: Code of the largest finite magnitude.
        nan: Code written for NaN (without sign).
        overflow: Code written for what is too large, where encoding does not saturate.
    """

    mantissa_bits: int
    bias: int
    largest: int
    nan: int
    overflow: int

    @property
    def smallest_normal(self) -> int:
        """Bits of the smallest normal magnitude as float32."""
        return (1 - self.bias + _FLOAT32_BIAS) << _FLOAT32_MANTISSA_BITS

    @property
    def subnormal_anchor(self) -> float:
        """Power of two whose float32 spacing is the subnormal spacing of the format."""
        return float(2.0 ** (_FLOAT32_MANTISSA_BITS + 1 - self.bias - self.mantissa_bits))


FORMATS: dict[ir.DataType, Format] = {
    ir.DataType.FLOAT8E4M3FN: Format(mantissa_bits=3, bias=7, largest=0x7E, nan=0x7F, overflow=0x7F),
    ir.DataType.FLOAT8E5M2: Format(mantissa_bits=2, bias=15, largest=0x7B, nan=0x7F, overflow=0x7C),
}


def _u16(value: int) -> tirx.Expr:
    return tirx.const(value, "uint16")


def _u32(value: int) -> tirx.Expr:
    return tirx.const(value, "uint32")


def decode(code: tirx.Expr, dtype: ir.DataType) -> tirx.Expr:
    """The float32 value of a code (uint8 expression).

    E5M2 is the upper byte of float16. E4M3 has float16's layout one mantissa bit further down and an exponent bias
    smaller by 8: shifted into place as float16 it is 2⁻⁸ of its value, subnormals included.
    """
    wide = code.astype("uint16")
    if dtype == ir.DataType.FLOAT8E5M2:
        return tirx.reinterpret("float16", wide << _u16(8)).astype("float32")
    return bind(wide, _decode_e4m3)


def _decode_e4m3(wide: tirx.Expr) -> tirx.Expr:
    magnitude = wide & _u16(0x7F)
    half = ((wide & _u16(0x80)) << _u16(8)) | (magnitude << _u16(7))
    value = tirx.reinterpret("float16", half).astype("float32") * tirx.const(256.0, "float32")
    return tirx.Select(magnitude == _u16(0x7F), tirx.const(float("nan"), "float32"), value)


def encode(value: tirx.Expr, dtype: ir.DataType, *, saturate: bool = True) -> tirx.Expr:
    """The uint8 code nearest to a float32 value: half to even; NaN stays NaN.

    Normal numbers are rounded on their bits (adding half a step minus one plus the last kept bit); subnormal ones by
    adding a power of two whose spacing is theirs, so that the float32 adder rounds.

    Args:
        value: float32 expression.
        dtype: FP8 type.
        saturate: What is too large becomes the largest finite number; else infinity, or NaN where the type has none.
    """
    fmt = FORMATS[dtype]
    beyond = fmt.largest if saturate else fmt.overflow
    return bind(tirx.reinterpret("uint32", value), lambda bits: _encode_bits(bits, fmt, beyond))


def _encode_bits(bits: tirx.Expr, fmt: Format, beyond: int) -> tirx.Expr:
    sign = (bits >> _u32(24)) & _u32(0x80)
    magnitude = bits & _u32(0x7FFFFFFF)
    code = tirx.Select(
        magnitude < _u32(fmt.smallest_normal), _subnormal(magnitude, fmt), _normal(magnitude, fmt, beyond)
    )
    code = tirx.Select(magnitude > _u32(_FLOAT32_INFINITY), _u32(fmt.nan), code)
    return (sign | code).astype("uint8")


def _normal(magnitude: tirx.Expr, fmt: Format, beyond: int) -> tirx.Expr:
    dropped = _FLOAT32_MANTISSA_BITS - fmt.mantissa_bits
    last_kept = (magnitude >> _u32(dropped)) & _u32(1)
    rounded = (magnitude + _u32((1 << (dropped - 1)) - 1) + last_kept) >> _u32(dropped)
    code = rounded - _u32((_FLOAT32_BIAS - fmt.bias) << fmt.mantissa_bits)
    return tirx.Select(code > _u32(fmt.largest), _u32(beyond), code)


def _subnormal(magnitude: tirx.Expr, fmt: Format) -> tirx.Expr:
    anchor = tirx.const(fmt.subnormal_anchor, "float32")
    rounded = tirx.reinterpret("float32", magnitude) + anchor
    return tirx.reinterpret("uint32", rounded) - tirx.reinterpret("uint32", anchor)
