"""Where each node of a component runs, decided before anything is lowered."""

from __future__ import annotations

import dataclasses
from collections import Counter

import onnx_ir as ir

from program.program import Component
from targets.contract.names import REFUSED
from targets.errors import TargetError

_SHOWN_REFUSALS = 20


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why a processor does not take a node.

    Attributes:
        reason: In the words of the coverage table.
        remedy: What the user can do; empty where that is said of another node.
    """

    reason: str
    remedy: str = ""


@dataclasses.dataclass(frozen=True)
class NodeCoverage:
    """The decision on one node.

    Attributes:
        node: Name of the node, or of its first output.
        op_type: Operator, with its domain unless that is ai.onnx.
        placement: Name of the processor it runs on, or `REFUSED`.
        reason: Why there.
        remedy: What the user can do; empty where the preferred processor runs it.
    """

    node: str
    op_type: str
    placement: str
    reason: str
    remedy: str = ""


@dataclasses.dataclass(frozen=True)
class Coverage:
    """The decisions on all nodes of a component, in graph order."""

    component: str
    nodes: tuple[NodeCoverage, ...]

    @property
    def refused(self) -> tuple[NodeCoverage, ...]:
        """Nodes that run nowhere."""
        return tuple(node for node in self.nodes if node.placement == REFUSED)

    def counts(self) -> dict[str, int]:
        """Number of nodes by placement, placements sorted."""
        return dict(sorted(Counter(str(node.placement) for node in self.nodes).items()))

    def render(self) -> str:
        """The refused nodes as a table, one a line."""
        rows = [
            f"{node.op_type:<24} {node.node}: {node.reason}; {node.remedy}"
            for node in self.refused[:_SHOWN_REFUSALS]
        ]
        hidden = len(self.refused) - len(rows)
        return "\n".join(rows + ([f"… and {hidden} more"] if hidden > 0 else []))

    def require_complete(self) -> None:
        """Checks that every node runs somewhere.

        Raises:
            CoverageError: One does not; carries this table.
        """
        if self.refused:
            raise CoverageError(self)


class CoverageError(TargetError):
    """Some nodes of a component cannot be lowered for the device (exit code 3).

    Args:
        coverage: The decisions on all nodes of the component.
    """

    def __init__(self, coverage: Coverage) -> None:
        self.coverage = coverage
        super().__init__(
            f"{len(coverage.refused)} of {len(coverage.nodes)} nodes cannot be lowered",
            where=coverage.component,
            received=f"\n{coverage.render()}",
            remedy=coverage.refused[0].remedy,
        )


def operator_name(node: ir.Node) -> str:
    """Operator type, with the domain unless it is ai.onnx."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"


def require_static(component: Component) -> None:
    """Checks that all graph inputs and outputs have a type and a static shape.

    Raises:
        TargetError: One has not.
    """
    graph = component.model.graph
    dynamic = [
        f"{value.name} {value.shape}"
        for value in (*graph.inputs, *graph.outputs)
        if value.dtype is None or value.shape is None or not value.shape.is_static()
    ]
    if dynamic:
        raise TargetError(
            "the graph has a dynamic shape",
            where=component.name,
            received=", ".join(dynamic),
            remedy="capture the model with fixed extents (batch 1, fixed image and sequence length)",
        )
