"""Measured, published or estimated values: nothing enters the catalogue without saying where it comes from."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_ESTIMATE = "estimate: "
_LEAST_REASON = 20


class Section(BaseModel):
    """A table of a device file: unknown keys, wrong types and later changes are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _with_source(text: str) -> str:
    if text.startswith(_ESTIMATE):
        if len(text) < len(_ESTIMATE) + _LEAST_REASON:
            raise ValueError("an estimate states its reason: `estimate: <arithmetic or reason>`")
    elif not re.search(r"\b(19|20)\d\d\b|measured with", text):
        raise ValueError(
            "a source is a citation with its year, `measured with <tool> <version>`, or `estimate: <reason>`"
        )
    return text


Source = Annotated[str, AfterValidator(_with_source)]
"""Where a statement comes from: a citation with its year, a measurement, or `estimate: <reason>`."""


class Sourced(Section):
    """A statement that names where it comes from."""

    source: Source

    @property
    def is_estimate(self) -> bool:
        """True if nobody published or measured the value."""
        return self.source.startswith(_ESTIMATE)


class Figure(Sourced):
    """A measure, its unit and where it comes from."""

    value: float = Field(gt=0, lt=1e15)
    unit: Literal["GiB", "KiB", "GB/s", "s", "token/s"]


class Count(Sourced):
    """A whole number, its unit and where it comes from."""

    value: int = Field(gt=0, lt=1 << 60)
    unit: Literal["B", "cores"]


class Identifier(Sourced):
    """The name by which a vendor's compiler selects the SoC, and where it comes from."""

    value: str = Field(pattern=r"^[A-Za-z0-9._-]+$")


_Quantity = TypeVar("_Quantity", Figure, Count)


def _in_unit(unit: str) -> Callable[[_Quantity], _Quantity]:
    def check(quantity: _Quantity) -> _Quantity:
        if quantity.unit != unit:
            raise ValueError(f"the unit must be {unit!r}, not {quantity.unit!r}")
        return quantity

    return check


Gibibytes = Annotated[Figure, AfterValidator(_in_unit("GiB"))]
Kibibytes = Annotated[Figure, AfterValidator(_in_unit("KiB"))]
GigabytesPerSecond = Annotated[Figure, AfterValidator(_in_unit("GB/s"))]
Seconds = Annotated[Figure, AfterValidator(_in_unit("s"))]
TokensPerSecond = Annotated[Figure, AfterValidator(_in_unit("token/s"))]
Bytes = Annotated[Count, AfterValidator(_in_unit("B"))]
Cores = Annotated[Count, AfterValidator(_in_unit("cores"))]
