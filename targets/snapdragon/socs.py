"""Which Qualcomm chips npuc prepares HTP binaries for.

The vendor's compiler takes chip names that it does not know (recorded as chip 0), and prepares v68 code for a
generation that it does not know, both without an error. npuc therefore selects a chip by number and by this table only.
"""

from __future__ import annotations

import difflib
import functools
import tomllib
from importlib import resources
from typing import Literal

from pydantic import Field

from targets.devices.figure import Section, Source
from targets.errors import TargetError

_SOURCE = "ExecuTorch backends/qualcomm/serialization/qc_schema.py, SoC table, 2026"


class HtpSoc(Section):
    """A chip with a Hexagon tensor processor.

    Attributes:
        model: Part number, such as `SM8750`.
        kind: What the chip is made for; `xr` means glasses and headsets.
        soc_model: Number that selects the chip in the vendor's compiler.
        arch: Generation of the Hexagon processor, such as 79 for v79.
        vtcm_mib: Tightly coupled memory in MiB; none where it is not published.
        float16: Whether npuc uses float16 arithmetic there.
        compiler_takes_float16: Whether the compiler prepares a float16 graph. On v68 it does although float16 is
            not supported there.
        source: Where number, generation and memory come from.
        note: What else a user should know.
    """

    model: str = Field(pattern=r"^[A-Z]+[0-9]+P?$")
    kind: Literal["phone", "automotive", "xr"]
    soc_model: int = Field(gt=0)
    arch: Literal[68, 69, 73, 75, 79, 81]
    vtcm_mib: int | None = Field(default=None, gt=0)
    float16: bool
    compiler_takes_float16: bool
    source: Source = _SOURCE
    note: str = ""


class _Table(Section):
    soc: tuple[HtpSoc, ...]


@functools.cache
def htp_socs() -> tuple[HtpSoc, ...]:
    """Returns every chip, in the order of socs.toml."""
    text = (resources.files("targets.snapdragon") / "socs.toml").read_text("utf-8")
    return _Table.model_validate(tomllib.loads(text), strict=False).soc


def find_htp_soc(name: str) -> HtpSoc:
    """Returns a chip by part number or by `soc_model`.

    Args:
        name: Such as `SM8750` or `69`.

    Raises:
        TargetError: The table has no such chip.
    """
    for soc in htp_socs():
        if name.upper() == soc.model or name == str(soc.soc_model):
            return soc
    known = [soc.model for soc in htp_socs()]
    close = difflib.get_close_matches(name.upper(), known, n=3)
    raise TargetError(
        "npuc does not know this Snapdragon chip; the vendor's compiler might prepare code for another one",
        received=name,
        remedy=f"did you mean {' or '.join(close)}?" if close else f"use one of {', '.join(known)}",
    )
