"""Integer schemes: the bits of activations and weights."""

from __future__ import annotations

import enum

from program.number_format import IntegerType


class Scheme(enum.StrEnum):
    """A pair of integer types; `a16w8` stores activations in 16 bits and weights in 8."""

    A16W8 = "a16w8"
    A8W8 = "a8w8"
    A16W4 = "a16w4"

    @property
    def activation(self) -> IntegerType:
        """Type of activations: unsigned with a zero point."""
        return IntegerType.UINT8 if self is Scheme.A8W8 else IntegerType.UINT16

    @property
    def weight(self) -> IntegerType:
        """Type of the weights of matrix products and convolutions: symmetric, one scale per output channel."""
        return IntegerType.INT4 if self is Scheme.A16W4 else IntegerType.INT8
