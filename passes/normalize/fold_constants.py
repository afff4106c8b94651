"""Evaluates nodes whose inputs are small constants."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import LiftConstantsToInitializersPass

from passes.core.graph_pass import GraphPass
from passes.core.rewrite import is_op


class FoldConstants(GraphPass):
    """Folds constants and lifts the results to initializers named `<component>/…`.

    Weights are left alone: one beyond the limit is never read. Constants of the component (`<component>/…`, such as a
    causal mask before Trilu) are in memory already, and are read up to the limit of results.

    Args:
        component: Name of the component; constants of a component are not shared with others.
        input_limit: Largest weight in bytes that may be read.
        output_limit: Largest result in bytes that may be stored.

    Attributes:
        remarks: Always empty; nothing is decided here.
    """

    def __init__(self, component: str, input_limit: int = 8 << 10, output_limit: int = 256 << 10) -> None:
        super().__init__()
        self._component = component
        self._input_limit = input_limit
        self._output_limit = output_limit
        self._weights: set[str] = set()

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Folds until nothing is left to fold."""
        # lists of passes are also read where none of them runs
        from onnxscript.optimizer import fold_constants_ir

        before = set(model.graph.initializers)
        self._weights = {name for name in before if not name.startswith(f"{self._component}/")}
        folded = fold_constants_ir(
            model,
            input_size_limit=self._output_limit,
            output_size_limit=self._output_limit,
            should_fold=self._may_fold,
        )
        lifted = LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
        self._prefix_new(model.graph, before)
        return ir.passes.PassResult(model, bool(folded.modified or lifted.modified))

    def _may_fold(self, node: ir.Node) -> bool | None:
        """Refuses weights (the folder would transpose them whatever their size) and quantised constants."""
        if is_op(node, "QuantizeLinear", "DequantizeLinear"):
            return False
        if is_op(node, "Transpose") and node.inputs[0] is not None and node.inputs[0].is_initializer():
            return False  # FoldWeightTranspose decides on these, and names the result after the weight
        inputs = [value for value in node.inputs if value is not None]
        return None if all(self._may_read(value) for value in inputs) else False

    def _may_read(self, value: ir.Value) -> bool:
        tensor = ir.convenience.get_const_tensor(value)
        limit = self._input_limit if value.name in self._weights else self._output_limit
        return tensor is None or tensor.nbytes <= limit

    def _prefix_new(self, graph: ir.Graph, before: set[str]) -> None:
        prefix = f"{self._component}/"
        for name in sorted(set(graph.initializers) - before):
            value = graph.initializers[name]
            if name.startswith(prefix):
                continue
            if value.is_graph_output():
                _keep_output(graph, value)
            del graph.initializers[name]
            value.name = prefix + name
            tensor = value.const_value
            if tensor is not None and tensor.nbytes <= self._output_limit:
                value.const_value = ir.tensor(np.asarray(tensor.numpy()), dtype=tensor.dtype, name=value.name)
            graph.register_initializer(value)


def _keep_output(graph: ir.Graph, value: ir.Value) -> None:
    """Lets an Identity produce an output that turned out to be constant, so that it keeps its name."""
    output = ir.Value(name=value.name, type=value.type, shape=value.shape)
    graph.outputs[list(graph.outputs).index(value)] = output
    graph.append(ir.Node("", "Identity", [value], outputs=[output], name=f"{value.name}/constant"))
