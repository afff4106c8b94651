"""Stores the weights of products in 8 bits; everything is computed in float32."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.infer_shapes import InferShapes
from passes.core.rewrite import Builder, Rewrite, is_op, shared_initializer
from passes.core.run_passes import run_passes
from passes.integer.integer_weight import integer_weight
from passes.normalize.eliminate_dead_nodes import EliminateDeadNodes
from program.number_format import IntegerType
from targets.contract.legalize import Legalized, LegalizeJob
from targets.contract.npu_format import NpuFormat

W8F32 = NpuFormat("w8f32", gate="16 bit", source_gate="16 bit")
"""The accelerator's own format: npuc needs nothing but its name and which gates hold for it."""


class StoreWeightsInBytes(Rewrite):
    """MatMul(x, w) → MatMul(x, DequantizeLinear(codes, scales)), one scale for each output."""

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one MatMul that reads a weight of two axes."""
        weight = node.inputs[1].const_value if is_op(node, "MatMul") and node.inputs[1] is not None else None
        if weight is None or len(weight.shape) != 2 or weight.dtype != ir.DataType.FLOAT:
            return False
        name = weight.name or f"{node.name}/weight"
        tensors = integer_weight(weight, IntegerType.INT8, 1, name)
        codes, scales, zeros = (shared_initializer(graph, each.name or name, each) for each in tensors)
        decoded = Builder(graph, node).op(
            "DequantizeLinear",
            codes,
            scales,
            zeros,
            dtype=ir.DataType.FLOAT,
            shape=weight.shape.numpy(),
            axis=1,
        )
        node.replace_input_with(1, decoded)
        return True


def store_weights_in_bytes(job: LegalizeJob) -> Legalized:
    """Rewrites a component in place."""
    remarks = run_passes(job.component, [StoreWeightsInBytes(), EliminateDeadNodes(), InferShapes()])
    return Legalized(W8F32, remarks)
