"""Removes whole layers: x + f(x) becomes x."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.rewrite import modality_of
from passes.learning.pruning.residual import Branch, residual_branches
from passes.normalize.eliminate_dead_nodes import EliminateDeadNodes
from program.program import CACHE_PREFIX, Component, Program
from program.remark import Remark


def prune_depth(program: Program, layers: Iterable[str]) -> list[Remark]:
    """Removes layers from every component that has them, in place, with their KV cache.

    Args:
        program: Normalised.
        layers: Stems of weight names as `block_influence` returns them (`model.language_model.layers.3`).

    Returns:
        A remark for each branch removed.

    Raises:
        PassError: No component has a layer of that name.
    """
    wanted = set(layers)
    remarks: list[Remark] = []
    for component in program.components.values():
        branches = [branch for branch in residual_branches(component) if branch.layer in wanted]
        remarks += [_remove(component, branch) for branch in branches]
        if branches:
            _drop_cache(component, branches)
            EliminateDeadNodes()(component.model)
            _drop_unused_inputs(component)
    missing = sorted(wanted - {remark.node for remark in remarks})
    if missing:
        raise PassError(
            "there are no such layers",
            received=", ".join(missing),
            remedy="name layers that `passes.learning.pruning.similarity.block_influence` lists",
        )
    return remarks


def _remove(component: Component, branch: Branch) -> Remark:
    graph, x, output = component.model.graph, branch.input, branch.output
    if output.is_graph_output():
        identity = ir.Node("", "Identity", [x], name=f"{branch.add.name}/pruned")
        graph.insert_before(branch.add, identity)
        identity.outputs[0].type, identity.outputs[0].shape = x.type, x.shape
        x, name = identity.outputs[0], output.name
        output.name = f"{name}/unpruned"
        x.name = name
    output.replace_all_uses_with(x, replace_graph_outputs=True)
    return Remark(
        "prune_depth",
        branch.layer,
        modality_of(branch.add),
        f"branch of {branch.add.name} removed from {component.name}",
        "chosen by the caller",
        {"nodes": float(len(branch.nodes))},
    )


def _drop_cache(component: Component, branches: Iterable[Branch]) -> None:
    """Removes the outputs `new_…` that only removed branches compute."""
    graph = component.model.graph
    gone = {node for branch in branches for node in branch.nodes}
    for value in tuple(graph.outputs):
        if (value.name or "").startswith("new_") and value.producer() in gone:
            graph.outputs.remove(value)


def _drop_unused_inputs(component: Component) -> None:
    graph = component.model.graph
    for value in tuple(graph.inputs):
        if (value.name or "").startswith(CACHE_PREFIX) and not value.uses():
            graph.inputs.remove(value)
