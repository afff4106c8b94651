"""Finds the pass, and the node, with which a rewritten graph stopped to compute what the model computes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import onnx_ir as ir

from passes.core.run_passes import run_passes
from passes.pipeline import create_pass
from program.agreement import relative_error
from program.errors import GraphExecutionError
from program.onnx_executor import OnnxExecutor
from program.program import Array, Component, Feeds

_DIFFERS = 1e-4
"""Relative error of an intermediate value that counts as changed, in float32."""


@dataclasses.dataclass(frozen=True)
class Rewriting:
    """How a component was made.

    Attributes:
        component: Gives name, role and modality.
        captured: The graph as it was captured, before any pass.
        names: Passes that ran on it, in order.
        keep: Initializers whose layout had to stay.
    """

    component: Component
    captured: ir.Model
    names: Sequence[str]
    keep: frozenset[str]


def first_wrong_pass(rewriting: Rewriting, is_wrong: Callable[[ir.Model], bool], feeds: Feeds) -> str:
    """Runs the passes once more, one at a time, until the result is wrong.

    Args:
        rewriting: What to repeat.
        is_wrong: Tells whether a graph computes something else than the model.
        feeds: A sample on which it does.

    Returns:
        Where it happened, in words: pass and node.
    """
    model = rewriting.captured.clone()
    if _shows(is_wrong, model):
        return "its capture, before any pass"
    component = dataclasses.replace(rewriting.component, model=model)
    for name in rewriting.names:
        before = model.clone()
        step = create_pass(name, component, rewriting.keep)
        run_passes(component, [step])
        if _shows(is_wrong, model):
            node = _first_changed_node(before, model, feeds)
            return f"pass {type(step).__name__}" + (f", node {node}" if node else "")
    return "its passes together"


def _shows(is_wrong: Callable[[ir.Model], bool], model: ir.Model) -> bool:
    """Asks of a graph that may hold operators which only later passes rewrite to what the reference executes."""
    try:
        return is_wrong(model)
    except GraphExecutionError:
        return False


def _first_changed_node(before: ir.Model, after: ir.Model, feeds: Feeds) -> str:
    """Returns the first node, in the order of the graph after a pass, whose output has another value than before."""
    names = _values(before) & _values(after)
    try:
        expected, actual = _run(before, names, feeds), _run(after, names, feeds)
    except GraphExecutionError:
        return ""
    for node in after.graph:
        for output in node.outputs:
            name = output.name or ""
            if name in names and relative_error(expected[name], actual[name]) > _DIFFERS:
                return node.name or node.op_type
    return ""


def _values(model: ir.Model) -> set[str]:
    return {output.name for node in model.graph for output in node.outputs if output.name}


def _run(model: ir.Model, names: set[str], feeds: Feeds) -> Mapping[str, Array]:
    return OnnxExecutor(model, sorted(names))(feeds)
