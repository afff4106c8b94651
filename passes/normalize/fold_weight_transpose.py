"""Stores weights as [inputs, outputs], so that no Transpose runs and MatMul reads rows of outputs."""

from __future__ import annotations

import math

import onnx_ir as ir

from passes.core.lazy_tensor import transposed
from passes.core.properties import without
from passes.core.rewrite import Builder, Rewrite, is_op, shared_initializer, static_shape

SUFFIX = ".transposed"


class FoldWeightTranspose(Rewrite):
    """Transpose(weight) → initializer `<weight>.transposed`, transposed when it is written.

    A weight another component (or node) reads as it is, such as an embedding table tied to the LM head, would
    be stored twice; MatMul(x, Transpose(weight)) becomes Gemm(x, weight, transB=1) there.

    Args:
        keep: Names of initializers that must stay as they are.
    """

    needs = (without("Gemm"),)

    def __init__(self, keep: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._keep = keep

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one Transpose of a two-dimensional weight."""
        turns = is_op(node, "Transpose") and not node.outputs[0].is_graph_output()
        weight = node.inputs[0] if turns else None
        if weight is None or weight.const_value is None or weight.name not in graph.initializers:
            return False
        if len(weight.const_value.shape) != 2 or list(node.attributes.get_ints("perm", (1, 0))) != [1, 0]:
            return False
        if weight.name in self._keep or _read_directly(weight):
            return self._use_gemm(graph, node, weight)
        name = f"{weight.name}{SUFFIX}"
        folded = shared_initializer(graph, name, transposed(weight.const_value, name))
        node.outputs[0].replace_all_uses_with(folded)
        _remove_unused(graph, node, weight)
        return True

    def _use_gemm(self, graph: ir.Graph, node: ir.Node, weight: ir.Value) -> bool:
        users = [use.node for use in node.outputs[0].uses()]
        if not all(is_op(user, "MatMul") and user.inputs[1] is node.outputs[0] for user in users):
            return False
        for user in users:
            _matmul_to_gemm(graph, user, weight)
            self.remark(user, "Gemm over the shared weight", f"{weight.name} is also read untransposed")
        graph.remove(node, safe=True)
        return True


def _matmul_to_gemm(graph: ir.Graph, user: ir.Node, weight: ir.Value) -> None:
    build = Builder(graph, user)
    x = user.inputs[0]
    if x is None:
        return
    shape, outputs = static_shape(x, user), static_shape(weight, user)[0]
    rows = x if len(shape) == 2 else build.reshape(x, (math.prod(shape[:-1]), shape[-1]))
    product = build.op("Gemm", rows, weight, transB=1)
    build.replace_anchor(product if len(shape) == 2 else build.reshape(product, (*shape[:-1], outputs)))


def _read_directly(weight: ir.Value) -> bool:
    return any(not is_op(use.node, "Transpose") for use in weight.uses())


def _remove_unused(graph: ir.Graph, node: ir.Node, weight: ir.Value) -> None:
    graph.remove(node, safe=True)
    if not weight.uses() and weight.name:
        del graph.initializers[weight.name]
