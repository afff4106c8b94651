"""The number formats of weights and activations: one vocabulary for passes, devices, recipes and manifests.

Importing it needs neither onnx nor numpy: recipes and device files are read without them.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

FormatName = Literal["float32", "float16", "bfloat16", "e4m3", "e5m2", "int8", "int16", "int4"]
"""Formats that a device declares something of."""

FORMAT_NAMES: tuple[FormatName, ...] = (
    "float32",
    "float16",
    "bfloat16",
    "e4m3",
    "e5m2",
    "int8",
    "int16",
    "int4",
)


class Format(enum.StrEnum):
    """A float format that layers compute in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    E4M3 = "e4m3"
    E5M2 = "e5m2"

    @property
    def is_fp8(self) -> bool:
        """Whether it is one of the two FP8 formats."""
        return self in FP8_FORMATS

    @property
    def onnx(self) -> ir.DataType:
        """The ONNX element type."""
        import onnx_ir as ir

        return ir.DataType[_ONNX[self]]

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The numpy (or ml_dtypes) element type."""
        import numpy as np

        return np.dtype(self.onnx.numpy())

    @property
    def largest(self) -> float:
        """Largest finite value: 448 for E4M3, 57344 for E5M2."""
        import ml_dtypes

        return float(ml_dtypes.finfo(self.numpy).max)


FP8_FORMATS = (Format.E4M3, Format.E5M2)

_ONNX = {
    Format.FLOAT32: "FLOAT",
    Format.FLOAT16: "FLOAT16",
    Format.E4M3: "FLOAT8E4M3FN",
    Format.E5M2: "FLOAT8E5M2",
}


class IntegerType(enum.StrEnum):
    """An integer type of codes."""

    UINT8 = "uint8"
    INT8 = "int8"
    INT4 = "int4"
    UINT16 = "uint16"
    INT16 = "int16"
    INT32 = "int32"

    @property
    def onnx(self) -> ir.DataType:
        """The ONNX element type."""
        import onnx_ir as ir

        return ir.DataType[self.name]

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy (or ml_dtypes) element type."""
        import numpy as np

        return np.dtype(self.onnx.numpy())

    @property
    def lowest(self) -> int:
        """Least code."""
        return -(1 << (self._bits - 1)) if self.is_signed else 0

    @property
    def highest(self) -> int:
        """Largest code."""
        return (1 << (self._bits - 1 if self.is_signed else self._bits)) - 1

    @property
    def is_signed(self) -> bool:
        """Whether negative codes exist; signed types are used symmetrically, with zero point 0."""
        return self.value.startswith("int")

    @property
    def _bits(self) -> int:
        return int(self.value.rpartition("int")[2])


def format_of(dtype: ir.DataType) -> FormatName | None:
    """Returns the format that an ONNX element type stores; None for types that are no number format."""
    return _BY_ONNX.get(dtype.name)


_BY_ONNX: dict[str, FormatName] = {
    "FLOAT": "float32",
    "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
    "FLOAT8E4M3FN": "e4m3",
    "FLOAT8E5M2": "e5m2",
    "INT8": "int8",
    "INT16": "int16",
    "INT4": "int4",
}
