"""Removes what hands a value on unchanged, in a graph and in its branches."""

from __future__ import annotations

import onnx_ir as ir


def remove_identities(graph: ir.Graph) -> bool:
    """Removes Identity nodes, except those that make an input, a constant, an outer value or an output an output.

    A branch has to return a value of its own. onnx_ir's pass makes the outer value itself the output of the branch, and
    fails at the second branch that hands on the same one.

    Args:
        graph: Changed in place, with the graphs inside its nodes.

    Returns:
        Whether anything was removed.
    """
    modified = False
    for node in list(graph.all_nodes()):
        if _is_redundant(node):
            _remove(node)
            modified = True
    return modified


def _is_redundant(node: ir.Node) -> bool:
    if node.op_type != "Identity" or node.domain != "" or node.inputs[0] is None:
        return False
    source, result = node.inputs[0], node.outputs[0]
    if not result.is_graph_output():
        return True
    producer = source.producer()
    return producer is not None and producer.graph is node.graph and not source.is_graph_output()


def _remove(node: ir.Node) -> None:
    source, result = node.inputs[0], node.outputs[0]
    if source is None or node.graph is None:
        return
    source.shape = source.shape if source.shape is not None else result.shape
    source.type = source.type if source.type is not None else result.type
    name = result.name if result.is_graph_output() else source.name
    result.replace_all_uses_with(source, replace_graph_outputs=True)
    result.name, source.name = None, name
    node.graph.remove(node, safe=True)
