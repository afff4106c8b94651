"""Gives every node a modality."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.properties import TAGGED
from passes.core.rewrite import Rewrite, modality_of
from program.program import MODALITY_KEY, Modality


class TagModality(Rewrite):
    """Tags untagged nodes: with the tag all tagged producers agree on, else with the default.

    Args:
        default: Modality of the component.
    """

    gives = (TAGGED,)

    def __init__(self, default: Modality) -> None:
        super().__init__()
        self._default = default

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:  # noqa: ARG002
        """Tags one node; graph order makes producers come first."""
        if MODALITY_KEY in node.metadata_props:
            return False
        producers = (value.producer() for value in node.inputs if value is not None)
        tags = {modality_of(producer) for producer in producers if producer is not None}
        node.metadata_props[MODALITY_KEY] = tags.pop() if len(tags) == 1 else self._default.value
        return True
