"""Runs ONNX shape inference, and does not go on without it."""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from passes.core.errors import PassError
from passes.core.graph_pass import GraphPass
from passes.core.properties import SHAPES


class InferShapes(GraphPass):
    """Fills in element types and static shapes of all values.

    Attributes:
        remarks: Always empty; nothing is decided here.
    """

    gives = (SHAPES,)

    def __init__(self) -> None:
        super().__init__()

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Infers.

        Raises:
            PassError: A value of the default domain's operators is left without type or static shape.
        """
        result = ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(model)
        for node in model.graph:
            if onnx.defs.has(node.op_type, node.domain):
                _check(node)
        return result


def _check(node: ir.Node) -> None:
    for value in node.outputs:
        used = bool(value.uses()) or value.is_graph_output()
        if used and (value.dtype is None or value.shape is None or not value.shape.is_static()):
            raise PassError(
                f"the shape of {value.name} cannot be determined",
                where=f"{node.op_type} {node.name}",
                received=f"type {value.type}, shape {value.shape}",
                remedy="capture the model with fixed sizes; data-dependent shapes are not supported",
            )
