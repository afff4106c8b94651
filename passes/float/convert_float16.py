"""Converts a float32 (or bfloat16) graph to float16, except where float16 would break it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.graph_pass import GraphPass
from passes.core.lazy_tensor import cast
from passes.core.properties import SHAPES
from passes.core.rewrite import Builder, is_op, modality_of, shared_initializer
from passes.float.float16 import LARGEST
from passes.float.float32_nodes import BETWEEN, TAGGED, WIDE, float32_nodes
from program.remark import Remark

_FLOATS = (*WIDE, ir.DataType.FLOAT16)

_TYPED_BY_ATTRIBUTE = frozenset({"Constant", "ConstantOfShape", "EyeLike", "RandomNormal", "RandomUniform"})

FLOAT32_SUFFIX = ".float32"

_REMARKED_ELEMENTS = 1 << 16


class ConvertFloat16(GraphPass):
    """Makes inputs, outputs, initializers and nodes float16.

    A node computes in float32, between casts, if it is tagged `npuc.compute = float32`; if its operator is in
    `FLOAT32_OPS`; if one of its scalar constants is below float16's normal numbers (the epsilon of a norm); or if it
    stands between such nodes. Constants beyond ±65504 (masks of -1e30) are clamped, with a remark.
    An initializer a float32 node reads keeps its type and gets the suffix `.float32`, so that a name has the same
    bytes in every component.

    Args:
        wide: Names of graph inputs and outputs that stay float32.

    Attributes:
        remarks: Clamped constants and nodes kept in float32.
    """

    needs = (SHAPES,)

    def __init__(self, wide: Collection[str] = ()) -> None:
        super().__init__()
        self._wide = frozenset(wide)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Converts; a graph that has float16 inputs or weights already is left as it is.

        Raises:
            PassError: A node holds a subgraph, or makes its type from an attribute.
        """
        graph = model.graph
        values = [*graph.inputs, *graph.initializers.values()]
        if any(value.dtype == ir.DataType.FLOAT16 for value in values):
            return ir.passes.PassResult(model, False)
        _refuse_unsupported(graph)
        kept = float32_nodes(graph)
        for node, reason in kept.items():
            if reason not in (TAGGED, BETWEEN):
                self._remark(node.name or node.op_type, modality_of(node), "computes in float32", reason)
        for value in graph.inputs:
            if value.dtype in WIDE and value.name not in self._wide:
                value.type = ir.TensorType(ir.DataType.FLOAT16)  # a clone shares the old type object
        for value in tuple(graph.initializers.values()):
            self._convert_initializer(graph, value, kept)
        _convert_nodes(graph, kept)
        _convert_outputs(graph, self._wide)
        return ir.passes.PassResult(model, True)

    def _convert_initializer(self, graph: ir.Graph, value: ir.Value, kept: Mapping[ir.Node, str]) -> None:
        tensor, name = value.const_value, value.name or ""
        if tensor is None or tensor.dtype not in WIDE:
            return
        uses = tuple(value.uses())
        wide_uses = [use for use in uses if use.node in kept]
        if wide_uses:
            wide_name = f"{name}{FLOAT32_SUFFIX}"
            wide = shared_initializer(graph, wide_name, cast(tensor, ir.DataType.FLOAT, wide_name))
            for use in wide_uses:
                use.node.replace_input_with(use.idx, wide)
        if len(wide_uses) == len(uses):
            del graph.initializers[name]
            return
        value.const_value = cast(tensor, ir.DataType.FLOAT16, name)
        value.type = ir.TensorType(ir.DataType.FLOAT16)
        self._remark_clamping(name, tensor)

    def _remark_clamping(self, name: str, tensor: ir.TensorProtocol) -> None:
        """Reads constants only: weights are clamped too, but when they are written."""
        if tensor.size > _REMARKED_ELEMENTS:
            return
        magnitudes = np.abs(np.asarray(tensor.numpy(), np.float32))
        largest = float(np.max(magnitudes, where=np.isfinite(magnitudes), initial=0.0))
        if largest > LARGEST:
            self._remark(name, "", "clamped to ±65504", "beyond the range of float16", {"largest": largest})

    def _remark(
        self, name: str, modality: str, what: str, why: str, numbers: Mapping[str, float] | None = None
    ) -> None:
        self.remarks.append(Remark(type(self).__name__, name, modality, what, why, numbers or {}))


def _convert_nodes(graph: ir.Graph, kept: Mapping[ir.Node, str]) -> None:
    """Sets the type of every float value, adding one cast per value where types meet."""
    casts: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}
    for node in tuple(graph):
        wanted, build = ir.DataType.FLOAT if node in kept else ir.DataType.FLOAT16, Builder(graph, node)
        for index, value in enumerate(node.inputs):
            if value is None or value.dtype not in _FLOATS or value.dtype == wanted or is_op(node, "Cast"):
                continue
            if (value, wanted) not in casts:
                casts[value, wanted] = build.op("Cast", value, dtype=wanted, to=int(wanted))
                casts[value, wanted].shape = value.shape
            node.replace_input_with(index, casts[value, wanted])
        for output in node.outputs:
            if output.dtype in WIDE:
                output.type = ir.TensorType(wanted)
                if is_op(node, "Cast"):
                    node.attributes["to"] = ir.AttrInt64("to", int(wanted))


def _convert_outputs(graph: ir.Graph, wide: Collection[str]) -> None:
    for index, output in enumerate(graph.outputs):
        producer = output.producer()
        if output.dtype not in WIDE or producer is None or output.name in wide:
            continue
        narrow = ir.Value(name=output.name, shape=output.shape, type=ir.TensorType(ir.DataType.FLOAT16))
        output.name = f"{output.name}{FLOAT32_SUFFIX}"
        graph.outputs[index] = narrow
        graph.append(
            ir.Node(
                "",
                "Cast",
                [output],
                attributes=[ir.AttrInt64("to", int(ir.DataType.FLOAT16))],
                outputs=[narrow],
                name=f"{producer.name}/to_float16",
                metadata_props=dict(producer.metadata_props),
            )
        )


def _refuse_unsupported(graph: ir.Graph) -> None:
    for node in graph:
        subgraph = any(attribute.type == ir.AttributeType.GRAPH for attribute in node.attributes.values())
        if subgraph or is_op(node, *_TYPED_BY_ATTRIBUTE):
            raise PassError(
                f"{node.op_type} cannot be converted to float16",
                where=node.name or node.op_type,
                received="a subgraph" if subgraph else "an output type set by an attribute",
                remedy="export the model without If, Loop and Scan: control flow is not supported"
                if subgraph
                else "run fold_constants first",
            )
