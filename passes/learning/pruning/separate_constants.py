"""Gives every reader of a component's constant a constant of its own, so that equal ones tie no channels together."""

from __future__ import annotations

import onnx_ir as ir

from program.program import Component


def separate_constants(component: Component) -> None:
    """Copies, in place, float vectors that capture merged because they were equal (fresh batch norms).

    Weights of the checkpoint that several nodes read stay one.

    Args:
        component: The component; its own constants have a "/" in their names.
    """
    graph = component.model.graph
    for name, value in tuple(graph.initializers.items()):
        tensor = value.const_value
        uses = sorted(value.uses(), key=lambda use: (use.node.name or "", use.idx))
        if "/" not in name or tensor is None or tensor.size < 2 or not tensor.dtype.is_floating_point():
            continue
        for number, use in enumerate(uses[1:], start=1):
            copy_name = f"{name}/{number}"
            if copy_name not in graph.initializers:
                copy = ir.Value(name=copy_name, type=value.type, shape=value.shape, const_value=tensor)
                graph.register_initializer(copy)
            use.node.replace_input_with(use.idx, graph.initializers[copy_name])
