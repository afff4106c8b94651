"""Orders a graph so that ONNX Runtime decodes each weight right before it is used.

ONNX Runtime sorts nodes by a depth-first search from the outputs that follows the operand whose producer stands last in
the file (`GraphViewer`, default execution order). A DequantizeLinear of a weight right before its product is thus run
ahead of everything that the product's other operand needs, and so is that of the product before it: all weights of a
decoder are decoded, and in memory, before the first product. In front of the graph they come last in the search.
"""

from __future__ import annotations

import onnx_ir as ir


def put_constants_first(model: ir.Model) -> None:
    """Moves nodes that depend on initializers alone to the front, in place; the order is otherwise as it was.

    Args:
        model: Sorted topologically.
    """
    known = set(model.graph.initializers.values())
    constant: dict[ir.Node, None] = {}
    for node in model.graph:
        if node.inputs and all(value is None or value in known for value in node.inputs):
            known.update(node.outputs)
            constant[node] = None
    first = next((node for node in model.graph if node not in constant), None)
    if constant and first is not None:
        model.graph.remove(constant)
        model.graph.insert_before(first, constant)
