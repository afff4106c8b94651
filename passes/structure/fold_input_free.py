"""Evaluates what does not depend on the component's inputs."""

from __future__ import annotations

import math

import onnx_ir as ir

from passes.core.evaluate import evaluate
from passes.core.graph_pass import GraphPass
from passes.core.rewrite import modality_of, shared_initializer
from program.program import Array
from program.remark import Remark


class FoldInputFree(GraphPass):
    """Nodes that depend on initializers alone → their results, as the reference executor computes them.

    A network with learned queries normalises and multiplies these before it meets its input.
    Compilers of accelerators expect an input in every operator. Large weights are left alone.

    Args:
        component: Name of the component; results are named `<component>/…`.
        input_limit: Largest bytes of initializers that may be read.
        output_limit: Largest bytes of one result.

    Attributes:
        remarks: What was evaluated.
    """

    def __init__(self, component: str, input_limit: int = 64 << 20, output_limit: int = 1 << 20) -> None:
        super().__init__()
        self._component = component
        self._input_limit = input_limit
        self._output_limit = output_limit

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Evaluates all such nodes at once."""
        nodes = self._input_free(model.graph)
        if not nodes:
            return ir.passes.PassResult(model, False)
        results = [value for node in nodes for value in node.outputs if _leaves(value, nodes)]
        for value, array in zip(results, evaluate(model, results, {}), strict=True):
            self._replace(model.graph, value, array)
        for node in reversed(list(nodes)):
            model.graph.remove(node, safe=True)
        return ir.passes.PassResult(model, True)

    def _input_free(self, graph: ir.Graph) -> dict[ir.Node, None]:
        """Returns the nodes that may be evaluated, in graph order."""
        nodes: dict[ir.Node, None] = {}
        read: set[ir.Value] = set()
        for node in graph:
            sources = [value for value in node.inputs if value is not None]
            weights = {value for value in sources if value.is_initializer()}
            known = all(value in weights or value.producer() in nodes for value in sources)
            if not known or any(self._is_kept(value) for value in node.outputs):
                continue
            if sum(_nbytes(value) for value in read | weights) <= self._input_limit:
                nodes[node] = None
                read |= weights
        return nodes

    def _is_kept(self, value: ir.Value) -> bool:
        static = value.shape is not None and value.shape.is_static() and value.dtype is not None
        return value.is_graph_output() or not static or _nbytes(value) > self._output_limit

    def _replace(self, graph: ir.Graph, value: ir.Value, array: Array) -> None:
        producer = value.producer()
        name = f"{self._component}/{value.name}.value"
        value.replace_all_uses_with(shared_initializer(graph, name, ir.tensor(array, name=name)))
        if producer is not None:
            self.remarks.append(
                Remark(
                    type(self).__name__,
                    producer.name or producer.op_type,
                    modality_of(producer),
                    f"{value.name} is stored as a constant",
                    "it does not depend on the component's inputs",
                    {"bytes": float(array.nbytes)},
                )
            )


def _leaves(value: ir.Value, nodes: dict[ir.Node, None]) -> bool:
    return any(use.node not in nodes for use in value.uses())


def _nbytes(value: ir.Value) -> int:
    if value.shape is None or value.dtype is None:
        return 0
    return math.ceil(math.prod(int(size) for size in value.shape.numpy()) * value.dtype.itemsize)
