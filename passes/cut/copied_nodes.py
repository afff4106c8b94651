"""Which nodes every part of a cut graph has for itself, and how values flow through them."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir


class CopiedNodes:
    """Nodes of which each part that needs the result has a copy.

    These are nodes that only constants reach, and the borders of quantised graphs: codes cross a cut rather than what
    they stand for, and each part quantises the graph inputs it reads.

    Args:
        graph: Nodes in topological order.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self._nodes: set[ir.Node] = set()
        for node in graph:
            if self._is_copied(node):
                self._nodes.add(node)

    def __contains__(self, node: object) -> bool:
        return node in self._nodes

    def origins(self, value: ir.Value | None) -> Iterator[ir.Value]:
        """Yields the graph inputs and results of other nodes that a value is made from; most often itself."""
        producer = None if value is None else value.producer()
        if value is None or (producer is None and not value.is_graph_input()):
            return
        if producer is None or producer not in self._nodes:
            yield value
            return
        for source in producer.inputs:
            yield from self.origins(source)

    def readers(self, value: ir.Value) -> Iterator[ir.Node]:
        """Yields the other nodes that read a value, directly or through copied ones."""
        for reader, _ in value.uses():
            if reader in self._nodes:
                for output in reader.outputs:
                    yield from self.readers(output)
            else:
                yield reader

    def constants_of(self, node: ir.Node) -> Iterator[ir.TensorProtocol]:
        """Yields the initializers a node reads, directly or through copied nodes."""
        for value in node.inputs:
            producer = None if value is None else value.producer()
            if producer is not None and producer in self._nodes:
                yield from self.constants_of(producer)
            elif value is not None and value.is_initializer() and value.const_value is not None:
                yield value.const_value

    def _is_copied(self, node: ir.Node) -> bool:
        if node.op_type == "DequantizeLinear":
            return True
        sources = [origin for value in node.inputs for origin in self.origins(value)]
        return all(origin.is_graph_input() for origin in sources) and (
            node.op_type == "QuantizeLinear" or not sources
        )
