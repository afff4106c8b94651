"""Functions of an ONNX file are copied to where they are called: that has to end, and to stay small."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import onnx

from exporter.errors import ExportError, SourceError

MAX_NODES = 200_000
"""Of the whole graph, once every function is copied to where it is called."""

_Key = tuple[str, str, str]


def check_functions(proto: onnx.ModelProto, path: Path) -> None:
    """Checks that functions do not call themselves, and counts the nodes that their calls make.

    Raises:
        SourceError: A function calls itself, by way of others too, or two have one name.
        ExportError: There would be more nodes than `MAX_NODES`.
    """
    bodies = {_key(function): function for function in proto.functions}
    if len(bodies) != len(proto.functions):
        raise SourceError("two functions have one name", where=str(path), remedy="export the model again")
    calls = {key: _calls(function.node) for key, function in bodies.items()}
    sizes: dict[_Key, int] = {}
    for key in _callees_first(calls, path):
        sizes[key] = sum(sizes.get(call, 1) for call in calls[key])
    count = sum(sizes.get(call, 1) for call in _calls(proto.graph.node))
    if count > MAX_NODES:
        raise ExportError(
            f"the graph has more than {MAX_NODES} nodes once its functions are copied to where they are called",
            where=str(path),
            received=f"{count} nodes" if count < 1 << 60 else "2^60 nodes or more",
            remedy="export a smaller part of the model",
        )


def _key(function: onnx.FunctionProto) -> _Key:
    return function.domain, function.name, function.overload


def _calls(nodes: Iterable[onnx.NodeProto]) -> list[_Key]:
    """Of all nodes, also of those in nested graphs; an operator counts as a call of itself."""
    calls, pending = [], list(nodes)
    while pending:
        node = pending.pop()
        calls.append((node.domain, node.op_type, node.overload))
        for attribute in node.attribute:
            for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                pending.extend(graph.node)
    return calls


def _callees_first(calls: Mapping[_Key, list[_Key]], path: Path) -> list[_Key]:
    """Orders functions so that each follows those it calls; without recursion, as chains may be long."""
    order: list[_Key] = []
    state: dict[_Key, bool] = {}  # whether a function is finished; absent before it is entered
    for start in calls:
        stack = [(start, False)]
        while stack:
            key, leaving = stack.pop()
            if leaving:
                state[key] = True
                order.append(key)
            elif key not in state:
                state[key] = False
                stack.append((key, True))
                stack += [(call, False) for call in set(calls[key]) if call in calls and not state.get(call)]
            elif not state[key]:
                raise SourceError(
                    "a function calls itself",
                    where=str(path),
                    received=f"{key[0]}::{key[1]}",
                    remedy="export the model again without recursive functions",
                )
    return order
