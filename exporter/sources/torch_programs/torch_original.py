"""A torch module as it is: what eager mode answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from exporter.errors import ExportError
from exporter.families.generic.runner import COMPONENT
from program.program import Array, Component, Executor, Feeds, Original
from program.shorten import shorten


def torch_original(
    load: Callable[[], Callable[..., Any]],
    component: Component,
    example: Sequence[torch.Tensor],
    keywords: Sequence[str] = (),
) -> Original:
    """Returns a module as an original.

    Args:
        load: Returns the module, in evaluation mode.
        component: What it was captured as; gives the names of inputs and outputs.
        example: Its example inputs, in order; a call gets tensors of the same types.
        keywords: Names of the last inputs, where they are passed by name.
    """
    inputs = [spec.name for spec in component.inputs]
    outputs = [spec.name for spec in component.outputs]
    dtypes = [tensor.dtype for tensor in example]

    def open_module() -> Executor:
        module = load()

        def run(feeds: Feeds) -> dict[str, Array]:
            arrays = zip((feeds[name] for name in inputs), dtypes, strict=True)
            tensors = [torch.tensor(array).to(dtype) for array, dtype in arrays]
            return dict(zip(outputs, _arrays(_call(module, tensors, keywords), outputs), strict=True))

        return run

    return Original("torch in eager mode", {COMPONENT: open_module})


def _call(module: Callable[..., Any], tensors: Sequence[torch.Tensor], keywords: Sequence[str]) -> object:
    positional = len(tensors) - len(keywords)
    named = dict(zip(keywords, tensors[positional:], strict=True))
    try:
        with torch.no_grad():
            return module(*tensors[:positional], **named)
    except Exception as error:  # the user's own code
        raise ExportError(
            "the module fails on inputs of its own shapes", received=shorten(error), remedy="correct it"
        ) from error


def _arrays(returned: object, outputs: Sequence[str]) -> list[Array]:
    """Flattens what a module returns, as `torch.onnx.export` does: containers in order, None left out."""
    leaves = [leaf for leaf in pytree.tree_leaves(returned) if leaf is not None]
    if len(leaves) != len(outputs):
        raise ExportError(
            "the module returns another number of tensors than its capture",
            received=f"{len(leaves)} for {', '.join(outputs)}",
            remedy="return tensors only, none of them twice",
        )
    return [torch.as_tensor(leaf).detach().cpu().numpy() for leaf in leaves]
