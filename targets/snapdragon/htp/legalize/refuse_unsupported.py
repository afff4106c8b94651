"""Names what HTP does not take before its compiler is called."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.rewrite import Rewrite, is_op

REFUSED: Mapping[str, str] = {
    "Erf": "write the activation as Gelu; HTP has the error function only inside it",
    "TensorScatter": "return the new rows and let the caller write them into its cache",
    "Trilu": "compute the mask outside of the graph, or from constants",
    "DynamicQuantizeLinear": "use a calibrated scale",
    "NonZero": "use a mask of static shape",
    "If": "export one branch",
    "Loop": "unroll the loop when exporting",
    "Scan": "unroll the loop when exporting",
}
"""Operators that HTP does not take, with what to do instead. Erf, TensorScatter and Trilu were prepared alone and
refused; the others need control flow or sizes known only at run time, which static graphs for HTP do not have."""


class RefuseUnsupported(Rewrite):
    """Raises for the first operator that HTP refuses; changes nothing."""

    def rewrite_node(self, _: ir.Graph, node: ir.Node) -> bool:
        """Looks at one node.

        Raises:
            PassError: HTP does not take it.
        """
        if is_op(node, *REFUSED):
            raise PassError(
                f"HTP does not take {node.op_type}",
                where=node.name or node.op_type,
                received=f"{node.op_type} of {[value.name for value in node.inputs if value is not None]}",
                remedy=REFUSED[node.op_type],
            )
        return False
