"""Facts about graphs that passes need and give, so that a wrong order of passes is found by tests and not by users."""

from __future__ import annotations

import contextvars
import dataclasses
from collections.abc import Callable, Iterable

import onnx
import onnx_ir as ir

from passes.core.errors import PassError
from program.program import MODALITY_KEY

CHECKED = contextvars.ContextVar("checked", default=False)
"""Whether `run_passes` checks what passes declare; tests switch it on."""


@dataclasses.dataclass(frozen=True)
class Property:
    """Something that holds for a graph or not.

    Attributes:
        name: In words, after "it is not so that".
        fault: Returns the first place where it does not hold; empty where it holds.
    """

    name: str
    fault: Callable[[ir.Model], str]


def require(model: ir.Model, properties: Iterable[Property], where: str) -> None:
    """Checks that properties hold.

    Args:
        model: The graph.
        properties: What must hold.
        where: Component and pass, and whether before or behind it.

    Raises:
        PassError: One does not; it is npuc's own fault.
    """
    for entry in properties:
        fault = entry.fault(model)
        if fault:
            raise PassError(
                f"it is not so that {entry.name}", where=where, received=fault, remedy="report this model"
            )


def without(*operators: str, domain: str = "") -> Property:
    """Returns the property of graphs that have none of some operators.

    Args:
        *operators: Types.
        domain: Of all of them.
    """

    def fault(model: ir.Model) -> str:
        found = (n for n in model.graph if n.domain == domain and n.op_type in operators)
        return next((n.name or n.op_type for n in found), "")

    return Property(f"the graph has no {' or '.join(operators)}", fault)


def _unknown_shape(model: ir.Model) -> str:
    for node in model.graph:
        for value in node.outputs if onnx.defs.has(node.op_type, node.domain) else ():
            used = bool(value.uses()) or value.is_graph_output()
            if used and (value.dtype is None or value.shape is None or not value.shape.is_static()):
                return value.name or node.op_type
    return ""


def _untagged(model: ir.Model) -> str:
    return next((n.name or n.op_type for n in model.graph if MODALITY_KEY not in n.metadata_props), "")


def _scalar_axes(model: ir.Model) -> str:
    for node in model.graph:
        takes_axes = node.op_type in ("Squeeze", "Unsqueeze") or node.op_type.startswith("Reduce")
        axes = node.inputs[1] if takes_axes and not node.domain and len(node.inputs) > 1 else None
        if axes is not None and axes.const_value is not None and len(axes.const_value.shape) == 0:
            return node.name or node.op_type
    return ""


def _dead(model: ir.Model) -> str:
    for node in model.graph:
        if not any(value.uses() or value.is_graph_output() for value in node.outputs):
            return node.name or node.op_type
    return ""


def _leading_constant(model: ir.Model) -> str:
    for node in model.graph:
        if node.op_type not in ("Add", "Mul") or node.domain:
            continue
        first, second = (value is not None and value.const_value is not None for value in node.inputs)
        if first and not second:
            return node.name or node.op_type
    return ""


SHAPES = Property("every value has an element type and a static shape", _unknown_shape)
TAGGED = Property("every node has a modality", _untagged)
AXES = Property("constant axes have one dimension", _scalar_axes)
ALIVE = Property("every node is needed for an output", _dead)
CONSTANTS_SECOND = Property("constants of sums and products come second", _leading_constant)
