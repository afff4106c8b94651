"""How a component gets the form in which an accelerator computes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from program.program import Component, Feeds
from program.remark import Remark
from targets.contract.npu_format import NpuFormat


@dataclasses.dataclass(frozen=True)
class LegalizeJob:
    """What to rewrite.

    Attributes:
        component: Elementary operators and static shapes; rewritten in place. In float32 where the format is made
            `from_float`, else in the recipe's number formats.
        feeds: What it is fed, for ranges; in the element types of its inputs.
        format: What to compute in.
        measured: Whether the accelerator may take a narrower format of its own where that measures as good.
    """

    component: Component
    feeds: Sequence[Feeds]
    format: NpuFormat
    measured: bool = False


@dataclasses.dataclass(frozen=True)
class Legalized:
    """What was done.

    Attributes:
        format: What the component computes in now.
        remarks: Of the passes.
        detail: What was measured, for the reason in the manifest; empty where nothing was.
    """

    format: NpuFormat
    remarks: Sequence[Remark]
    detail: str = ""
