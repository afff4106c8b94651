"""The graph of a .pt2 file without anything that torch would evaluate.

torch 2.13 writes Python source from a loaded graph and runs it: names of nodes, inputs and parameters go into it as
they are. It also runs the guards of the file, parses symbolic sizes as expressions, resolves operators to attributes of
torch, and imports the modules that a pytree names. So a graph is copied item by item: what is known is kept, what is
only for people is left out, and what might be evaluated is checked against the narrowest form that ordinary files have.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable, Mapping
from typing import Any

from exporter.sources.torch_programs.pt2_operators import is_allowed_operator

_PATH = re.compile(r"[\w-]+(\.[\w-]+)*", re.ASCII)
_MODULES = re.compile(r"[\w.,;<>\[\]@ -]*", re.ASCII)
_DIALECTS = ("", "ATEN", "TRAINING")
_TREES = {"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
_NAMES = ("name", "as_name")
_PATHS = ("parameter_name", "buffer_name", "tensor_constant_name", "user_input_name")
_EVALUATED = ("as_operator", "as_graph", "as_custom_obj", "custom_obj", "as_string_to_argument", "token")


class UnsafeGraphError(ValueError):
    """Says what in a graph might run code when torch reads it."""


def copy_graph(
    document: Mapping[str, Any], is_allowed: Callable[[str], bool] = is_allowed_operator
) -> dict[str, Any]:
    """Copies the content of `models/model.json` for torch to read.

    Args:
        document: The parsed file.
        is_allowed: Decides on operators.

    Returns:
        The same program with no guards and no notes for people but the module of each node.

    Raises:
        UnsafeGraphError: Something in it might be evaluated.
        KeyError: A part is missing. So is TypeError where a part is of another kind.
    """
    module = document["graph_module"]
    graph, signature = dict(module["graph"]), module["signature"]
    graph["nodes"] = [_node(node, is_allowed) for node in graph["nodes"]]
    if document["range_constraints"] or graph.get("custom_obj_values"):
        raise UnsafeGraphError("symbols or custom objects")
    for name in graph["tensor_values"]:
        _require_identifier(name)
    _check_names(graph)
    _check_names(signature)
    if any(dialect not in _DIALECTS for dialect in document["verifiers"]):
        raise UnsafeGraphError(f"dialects {str(document['verifiers'])[:80]}")
    return {
        "graph_module": {
            "graph": graph,
            "signature": signature,
            "module_call_graph": [_root_call(module["module_call_graph"])],
            "metadata": {},
            "treespec_namedtuple_fields": {},
        },
        "opset_version": document["opset_version"],
        "range_constraints": {},
        "schema_version": document["schema_version"],
        "verifiers": document["verifiers"],
        "torch_version": str(document.get("torch_version", "")),
        "guards_code": [],
    }


def check_path(path: object) -> None:
    """Checks the name of a parameter, buffer or constant: it becomes a chain of attributes in Python source.

    Raises:
        UnsafeGraphError: It is more than names joined by dots.
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise UnsafeGraphError(f"the name {str(path)[:80]!r} of a tensor")


def _node(node: Mapping[str, Any], is_allowed: Callable[[str], bool]) -> dict[str, Any]:
    target = node["target"]
    if not isinstance(target, str) or not is_allowed(target):
        raise UnsafeGraphError(f"operator {str(target)[:120]}")
    modules = node.get("metadata", {}).get("nn_module_stack")
    kept = isinstance(modules, str) and _MODULES.fullmatch(modules)
    return {**node, "metadata": {"nn_module_stack": modules} if kept else {}}


def _root_call(entries: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Of the modules' calls the program's own is enough; the others serve to take it apart again."""
    signature = next(entry["signature"] for entry in entries if entry["fqn"] == "")
    names = signature.get("forward_arg_names")
    for name in names or ():
        _require_identifier(name)
    for key in ("in_spec", "out_spec"):
        _, tree = json.loads(signature[key])
        _check_tree(tree, is_input=key == "in_spec")
    kept = {key: signature[key] for key in ("in_spec", "out_spec")}
    return {"fqn": "", "signature": {"inputs": [], "outputs": [], **kept, "forward_arg_names": names}}


def _check_tree(tree: Mapping[str, Any], *, is_input: bool) -> None:
    kind, context = tree["type"], tree["context"]
    if kind is None and context is None:
        return
    if kind not in _TREES:
        raise UnsafeGraphError(
            f"inputs or outputs in a {str(kind)[:80]}; tuples, lists and dictionaries are read"
        )
    keys = json.loads(context) if isinstance(context, str) else context
    for key in keys or ():
        if is_input:
            _require_identifier(key)
        elif not isinstance(key, (str, int)):
            raise UnsafeGraphError(f"the key {str(key)[:80]} of a dictionary")
    for child in tree["children_spec"]:
        _check_tree(child, is_input=is_input)


def _check_names(value: Any) -> None:
    """Checks all names inside; an argument's own name in an operator's schema may be a keyword of Python."""
    for child in value if isinstance(value, list) else ():
        _check_names(child)
    if not isinstance(value, dict):
        return
    for key, child in value.items():
        if key in _EVALUATED:
            raise UnsafeGraphError(f"an argument {key}")
        if key in _NAMES and child not in (None, ""):
            _require_identifier(child, keywords="arg" in value)
        elif key in _PATHS:
            check_path(child)
        else:
            _check_names(child)


def _require_identifier(name: object, *, keywords: bool = False) -> None:
    if not isinstance(name, str) or not (name.isascii() and name.isidentifier()):
        raise UnsafeGraphError(f"the name {str(name)[:80]!r}")
    if keyword.iskeyword(name) and not keywords:
        raise UnsafeGraphError(f"the name {name!r}, a word of Python")
