"""Removes what no output depends on, and what is computed twice."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from passes.core.graph_pass import GraphPass
from passes.core.properties import ALIVE
from program.identities import remove_identities


class EliminateDeadNodes(GraphPass):
    """Removes Identity nodes, repeated computations, unused nodes, initializers and opset imports.

    Attributes:
        remarks: Always empty; nothing is decided here.
    """

    gives = (ALIVE,)

    def __init__(self) -> None:
        super().__init__()
        self._steps = (
            common.CommonSubexpressionEliminationPass(),
            common.RemoveUnusedNodesPass(),
            common.RemoveUnusedOpsetsPass(),
        )

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Runs the steps, until none of them finds anything."""
        modified = False
        while self._run_once(model):
            modified = True
        return ir.passes.PassResult(model, modified)

    def _run_once(self, model: ir.Model) -> bool:
        modified = remove_identities(model.graph)
        for step in self._steps:
            modified |= step(model).modified
        return modified
