"""Captures a torch module as an ONNX component without ever holding its weights.

The module is built on torch's meta device, where a tensor has a shape and a type but no storage. Its parameters become
initializers that are bound to lazy tensors; its buffers that hold real values (position tables) keep them.

Three properties of the torch 2.13 exporter shape this file: it cannot mix meta parameters with CPU buffers, so buffers
move to meta and their values are put back by name; its optimizer reads small initializers, so pending weights
become graph inputs while it runs; only opset 23 gets RMSNormalization and RotaryEmbedding fused.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence

import onnx_ir as ir
import torch
from onnx_ir.passes.common import InlinePass
from onnxscript.rewriter import onnx_fusions
from torch import nn

from exporter.errors import ExportError
from exporter.files.weights import Bind
from exporter.modality import SCOPE_KEY, ModalityRule, tag_modalities
from exporter.operator_signatures import parsed_once
from exporter.simplify import simplify
from program.program import OPSET, Component, Modality, Role, TensorSpec
from program.shorten import shorten

_TORCH_DTYPES = {
    ir.DataType.FLOAT: torch.float32,
    ir.DataType.FLOAT16: torch.float16,
    ir.DataType.INT64: torch.int64,
    ir.DataType.INT32: torch.int32,
    ir.DataType.BOOL: torch.bool,
}


@dataclasses.dataclass(frozen=True)
class Capture:
    """What to capture.

    Attributes:
        name: Component name (`[a-z0-9_]+`).
        role: What the component does.
        modality: Of nodes that no rule matches.
        inputs: Specs of `forward`'s tensors, in order; their names become the graph's input names.
        outputs: Names of the tensors that `forward` returns, flattened, in order.
        rules: First match wins.
        by_keyword: Pass the inputs to `forward` by name rather than by position.
    """

    name: str
    role: Role
    modality: Modality
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]
    rules: tuple[ModalityRule, ...] = ()
    by_keyword: bool = False


def torch_dtype(dtype: ir.DataType) -> torch.dtype:
    """The torch element type.

    Raises:
        ExportError: Components have no inputs of this type.
    """
    if dtype not in _TORCH_DTYPES:
        raise ExportError(
            "an element type is not supported at a component's boundary",
            received=dtype.name,
            remedy=f"use one of {', '.join(item.name for item in _TORCH_DTYPES)}",
        )
    return _TORCH_DTYPES[dtype]


@contextlib.contextmanager
def build_on_meta(dtype: ir.DataType) -> Iterator[None]:
    """Modules built inside have parameters on the meta device, of element type `dtype`.

    Converting with `.to(dtype)` afterwards fails on meta in torch 2.13, hence the default type.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch_dtype(dtype))
    try:
        with torch.device("meta"):
            yield
    finally:
        torch.set_default_dtype(before)


def capture_module(module: nn.Module, what: Capture, bind: Bind) -> Component:
    """Captures a module.

    Args:
        module: Built on the meta device (its real buffers keep their values), or an ordinary one. It is put into
            evaluation mode, and a meta module's buffers move to meta.
        what: Names, inputs and modalities.
        bind: Gives the tensor for each parameter. Two parameters bound to tensors of one name become one initializer.

    Returns:
        The component: opset 23, static shapes, each node with a modality and, where known, its scope.

    Raises:
        ExportError: torch cannot export the module, or a weight does not fit.
    """
    _check_types(module, what)
    module.eval()
    buffers = {name: buffer.detach().clone() for name, buffer in module.named_buffers() if not buffer.is_meta}
    device = "meta" if any(parameter.is_meta for parameter in module.parameters()) else "cpu"
    if device == "meta":
        module.to("meta")
    return capture_program(_trace(module, what, device), what, bind, buffers)


def capture_program(
    exported: torch.export.ExportedProgram,
    what: Capture,
    bind: Bind,
    buffers: Mapping[str, torch.Tensor] | None = None,
) -> Component:
    """Captures what torch has exported already.

    Args:
        exported: The program; its parameters may be on the meta device.
        what: Names, inputs and modalities.
        bind: Gives the tensor for each parameter.
        buffers: Values of buffers that are on the meta device in the program.

    Raises:
        ExportError: An operator has no ONNX form, or a weight does not fit.
    """
    model = _to_onnx(exported, what)
    _clean_metadata(model, what)
    InlinePass()(model)
    weights = _hide_weights(model.graph, buffers or {})
    simplify(model)
    onnx_fusions.fuse(model)
    _name_boundary(model.graph, what, hidden=len(weights))
    _bind_weights(model.graph, weights, bind, what.name)
    tag_modalities(model.graph, what.rules, what.modality)
    return Component(what.name, what.role, what.modality, model)


def _trace(module: nn.Module, what: Capture, device: str) -> torch.export.ExportedProgram:
    tensors = [torch.zeros(spec.shape, dtype=torch_dtype(spec.dtype), device=device) for spec in what.inputs]
    args = () if what.by_keyword else tuple(tensors)
    names = [spec.name for spec in what.inputs]
    kwargs = dict(zip(names, tensors, strict=True)) if what.by_keyword else {}
    try:
        with _quiet(), torch.no_grad():
            return torch.export.export(module, args, kwargs, strict=False)
    except Exception as error:  # torch raises many unrelated classes here; the user needs one
        raise ExportError(
            "torch cannot export the module to a static graph",
            where=f"component {what.name}: {type(module).__module__}.{type(module).__qualname__}",
            received=shorten(error),
            remedy="remove control flow and shapes that depend on the values of tensors",
        ) from error


def _to_onnx(exported: torch.export.ExportedProgram, what: Capture) -> ir.Model:
    """Translates to unoptimised ONNX; weights stay where they are."""
    try:
        with _quiet(), parsed_once(), torch.no_grad():
            program = torch.onnx.export(
                exported,
                input_names=[spec.name for spec in what.inputs],
                output_names=list(what.outputs) or None,
                opset_version=OPSET,
                verbose=False,
                optimize=False,
            )
    except Exception as error:  # as above
        raise ExportError(
            "the module has no ONNX form",
            where=f"component {what.name}",
            received=shorten(error),
            remedy="replace the operator that is named by ones that ONNX has",
        ) from error
    if program is None:
        raise ExportError("torch returned no ONNX program", where=f"component {what.name}")
    return program.model


def _check_types(module: nn.Module, what: Capture) -> None:
    """ONNX Runtime's CPU provider, the reference, computes in float32 and float16 only."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.dtype in (torch.float64, torch.bfloat16):
            raise ExportError(
                "a weight has an element type that the reference cannot compute in",
                where=f"component {what.name}: {name}",
                received=str(tensor.dtype),
                remedy="convert the module with .float() or .half()",
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's progress and its notes on absent packages off the user's terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _clean_metadata(model: ir.Model, what: Capture) -> None:
    """Keeps the module path of each node; drops stack traces, which hold paths of this machine."""
    graph = model.graph
    graph.metadata_props.clear()
    model.metadata_props.clear()
    for value in (*graph.inputs, *graph.initializers.values()):
        value.metadata_props.clear()
    for node in graph.all_nodes():
        scope = _module_path(node.metadata_props.get("pkg.torch.onnx.name_scopes", "[]"))
        node.metadata_props.clear()
        node.metadata_props[SCOPE_KEY] = scope
        node.doc_string = None
        for output in node.outputs:
            output.metadata_props.clear()
    model.graph.name = what.name
    model.producer_version = torch.__version__.split("+")[0]


def _module_path(scopes: str) -> str:
    """`"['', 'layers.0', 'layers.0.mlp', 'linear_3']"` → `layers.0.mlp`; the last entry names the operator."""
    path = ast.literal_eval(scopes)
    return str(path[-2]) if len(path) > 1 else ""


def _hide_weights(graph: ir.Graph, buffers: Mapping[str, torch.Tensor]) -> list[ir.Value]:
    """Restores the buffers' values, and makes every other tensor without a value of its own a graph input."""
    weights = []
    for name, value in list(graph.initializers.items()):
        raw = value.const_value.raw if value.const_value is not None else None
        if name in buffers:
            value.const_value = ir.tensor(buffers[name].numpy(), name=name)
        elif isinstance(raw, torch.nn.Parameter) or (isinstance(raw, torch.Tensor) and raw.is_meta):
            del graph.initializers[name]
            value.const_value = None
            graph.inputs.append(value)
            weights.append(value)
    return weights


def _name_boundary(graph: ir.Graph, what: Capture, hidden: int) -> None:
    """Optimisation may rename inputs and outputs, but their order stays."""
    names = [spec.name for spec in what.inputs]
    for value, name in zip(graph.inputs[: len(graph.inputs) - hidden], names, strict=True):
        value.name = name
    for value, name in zip(graph.outputs, what.outputs, strict=bool(what.outputs)):
        value.name = name
    for value in graph.outputs:
        # torch calls an input that is returned the same as the input
        if value.name in names and not value.is_graph_input():
            value.name = f"{value.name}_returned"


def _bind_weights(graph: ir.Graph, weights: Sequence[ir.Value], bind: Bind, component: str) -> None:
    for name, value in list(graph.initializers.items()):
        del graph.initializers[name]
        value.name = f"{component}/{name}"
        if value.const_value is not None:
            value.const_value.name = value.name
        graph.register_initializer(value)
    for value in weights:
        graph.inputs.remove(value)
        if value.uses():
            _bind_weight(graph, value, bind)


def _bind_weight(graph: ir.Graph, value: ir.Value, bind: Bind) -> None:
    if value.dtype is None or value.shape is None or value.name is None:
        raise ExportError("torch gave a weight without a type", received=str(value.name))
    tensor = bind(value.name, value.dtype, tuple(int(size) for size in value.shape.numpy()))
    shared = graph.initializers.get(tensor.name or "")
    if shared is not None:
        value.replace_all_uses_with(shared)
        return
    value.name = tensor.name
    value.const_value = tensor
    graph.register_initializer(value)
