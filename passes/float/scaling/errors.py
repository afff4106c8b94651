"""What float16 does not hold."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.errors import FormatRangeError


class Float16RangeError(FormatRangeError):
    """A graph has values that float16 does not hold in any form."""

    @classmethod
    def of(cls, value: ir.Value, largest: float, what: str) -> Float16RangeError:
        """Makes the error for one value.

        Args:
            value: The value.
            largest: Largest magnitude seen.
            what: What the value is to the graph.
        """
        return cls(
            "float16 does not hold a value, and it cannot be scaled",
            where=value.name or "",
            received=f"{largest:g} in {what}",
            remedy="use --npu auto, which takes another number format for such a component, or --npu a16w8,"
            " or --npu cpu",
        )
