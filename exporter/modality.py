"""Tags each node of a captured graph with the modality it works on, by the module it comes from."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import onnx_ir as ir

from program.program import MODALITY_KEY, Modality

SCOPE_KEY = "npuc.scope"
"""`metadata_props` key of the module path a node comes from (`layers.0.mlp.up_proj`)."""


@dataclasses.dataclass(frozen=True)
class ModalityRule:
    """Nodes whose scope matches `pattern` (a regular expression, searched) work on `modality`."""

    pattern: str
    modality: Modality


def tag_modalities(graph: ir.Graph, rules: Sequence[ModalityRule], default: Modality) -> None:
    """Gives each node its modality: that of the first rule that matches its scope, else `default`.

    A node that a rewrite made has no scope: it gets that of the weight it reads, else of the node before it.

    Args:
        graph: Nodes in topological order; each gets `SCOPE_KEY` and `MODALITY_KEY`.
        rules: Tried in order.
        default: Modality where no rule matches.
    """
    for node in graph.all_nodes():
        scope = node.metadata_props.get(SCOPE_KEY) or _scope_of_weight(node) or _scope_of_producer(node)
        node.metadata_props[SCOPE_KEY] = scope
        modality = next((rule.modality for rule in rules if re.search(rule.pattern, scope)), default)
        node.metadata_props[MODALITY_KEY] = modality.value


def _scope_of_weight(node: ir.Node) -> str:
    names = [value.name or "" for value in node.inputs if value is not None and value.is_initializer()]
    return next((name.rpartition(".")[0] for name in names if "/" not in name and "." in name), "")


def _scope_of_producer(node: ir.Node) -> str:
    if SCOPE_KEY in node.metadata_props:
        return ""  # the root module's own node: its scope is known and empty
    producers = [value.producer() for value in node.inputs if value is not None]
    return next((item.metadata_props.get(SCOPE_KEY, "") for item in producers if item is not None), "")
