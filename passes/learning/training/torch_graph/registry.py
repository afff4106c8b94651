"""Operator type to its torch function."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from typing import Any

import onnx_ir as ir

from passes.core.errors import PassError

Function = Callable[..., Any]
"""(node, *inputs) → tensor, or a sequence of tensors; an absent optional input is None or left out."""


class Gradient(enum.Enum):
    """What the gradient of an operator is."""

    EXACT = "exact"
    STRAIGHT_THROUGH = "straight-through"
    NONE = "none"


@dataclasses.dataclass(frozen=True)
class Operator:
    """A registered operator.

    Attributes:
        function: Computes it in the carrier's type.
        gradient: Kind of its gradient.
        moves_data: Whether it only moves values, so that rounding its result again would change nothing.
    """

    function: Function
    gradient: Gradient
    moves_data: bool


OPERATORS: dict[str, Operator] = {}
"""Operators of the ai.onnx domain by type; filled by importing `passes.learning.training.torch_graph.operators`."""


def operator(
    *op_types: str, gradient: Gradient = Gradient.EXACT, moves_data: bool = False
) -> Callable[[Function], Function]:
    """Registers a function as the rule of operator types."""

    def register(function: Function) -> Function:
        for op_type in op_types:
            OPERATORS[op_type] = Operator(function, gradient, moves_data)
        return function

    return register


def find_operator(node: ir.Node, component: str) -> Operator:
    """Looks up the rule of a node.

    Raises:
        PassError: There is none.
    """
    found = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if found is None:
        raise PassError(
            f"operator {node.op_type} cannot be trained",
            where=f"component {component}, node {node.name or node.op_type}",
            received=f"{node.domain or 'ai.onnx'}.{node.op_type}",
            remedy="normalise the component first (passes.pipeline.normalize), "
            "or register a rule in passes/training/operators",
        )
    return found
