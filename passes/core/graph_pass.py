"""What every pass is: an in-place rewrite that collects remarks and says what it needs and gives."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from passes.core.properties import Property
from program.remark import Remark


class GraphPass(ir.passes.InPlacePass):
    """A pass.

    Attributes:
        needs: What must hold before it.
        gives: What holds behind it.
        remarks: Decisions taken so far, in graph order.
    """

    needs: ClassVar[tuple[Property, ...]] = ()
    gives: ClassVar[tuple[Property, ...]] = ()

    def __init__(self) -> None:
        self.remarks: list[Remark] = []
