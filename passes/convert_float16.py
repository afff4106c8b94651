"""Converts a float32 (or bfloat16) graph to float16, except where float16 would break it."""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np
import onnx_ir as ir

from passes.errors import PassError
from passes.lazy_tensor import cast
from passes.remark import Remark
from passes.rewrite import COMPUTE_KEY, Builder, is_op, modality_of, scalar_constant, shared_initializer

_WIDE = (ir.DataType.FLOAT, ir.DataType.BFLOAT16)
_FLOATS = (*_WIDE, ir.DataType.FLOAT16)

FLOAT32_OPS = frozenset(
    {"CumSum", "Cos", "Exp", "Log", "Pow", "Reciprocal", "ReduceL2", "ReduceLogSumExp", "ReduceMean"}
    | {"ReduceProd", "ReduceSum", "ReduceSumSquare", "Resize", "STFT", "DFT", "Sin", "Softplus", "Sqrt"}
)
"""Stay in float32: squares, sums and powers leave float16's range (6e-8 … 65504), angles and logarithms its
precision (11 bits). They are a small share of the work. ONNX Runtime's CPU provider runs every other operator in
float16: by kernels of its own, or by float32 ones between casts it inserts. It drops inserted casts between two
float32 kernels, so that a chain of such operators is rounded once, at its end."""

_TYPED_BY_ATTRIBUTE = frozenset({"Constant", "ConstantOfShape", "EyeLike", "RandomNormal", "RandomUniform"})

FLOAT32_SUFFIX = ".float32"

_LARGEST = 65504.0
_SMALLEST_NORMAL = 2.0**-14

_TAGGED = "tagged by the pass that made it"
_BETWEEN = "stands between nodes that compute in float32"

_REMARKED_ELEMENTS = 1 << 16


class ConvertFloat16(ir.passes.InPlacePass):
    """Makes inputs, outputs, initializers and nodes float16.

    A node computes in float32, between casts, if it is tagged `npuc.compute = float32`; if its operator is in
    `FLOAT32_OPS`; if one of its scalar constants is below float16's normal numbers (the epsilon of a norm); or if it
    stands between such nodes. Constants beyond ±65504 (masks of -1e30) are clamped, with a remark.
    An initializer a float32 node reads keeps its type and gets the suffix `.float32`, so that a name has the same
    bytes in every component.

    Attributes:
        remarks: Clamped constants and nodes kept in float32.
    """

    def __init__(self) -> None:
        self.remarks: list[Remark] = []

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
            if reason not in (_TAGGED, _BETWEEN):
                self._remark(node.name or node.op_type, modality_of(node), "computes in float32", reason)
        for value in graph.inputs:
            if value.dtype in _WIDE:
                value.type = ir.TensorType(ir.DataType.FLOAT16)  # a clone shares the old type object
        for value in tuple(graph.initializers.values()):
            self._convert_initializer(graph, value, kept)
        _convert_nodes(graph, kept)
        _convert_outputs(graph)
        return ir.passes.PassResult(model, True)

    def _convert_initializer(self, graph: ir.Graph, value: ir.Value, kept: Mapping[ir.Node, str]) -> None:
        tensor, name = value.const_value, value.name or ""
        if tensor is None or tensor.dtype not in _WIDE:
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
        if largest > _LARGEST:
            self._remark(name, "", "clamped to ±65504", "beyond the range of float16", {"largest": largest})

    def _remark(
        self, name: str, modality: str, what: str, why: str, numbers: Mapping[str, float] | None = None
    ) -> None:
        self.remarks.append(Remark(type(self).__name__, name, modality, what, why, numbers or {}))


def float32_nodes(graph: ir.Graph) -> dict[ir.Node, str]:
    """Returns the nodes that must compute in float32, with the reason."""
    kept = {node: reason for node in graph if (reason := _float32_reason(node))}
    return kept | {node: _BETWEEN for node in _largest_region(graph, kept.keys()) if node not in kept}


def _largest_region(graph: ir.Graph, kept: Set[ir.Node]) -> list[ir.Node]:
    """Returns the kept nodes and all that float values reach from, and leave to, the region alone.

    Starts with every node; a sweep along the graph and back takes out most of those outside at once.
    """
    order = list(graph)
    region, size = set(order), len(order) + 1
    while len(region) < size:
        size = len(region)
        for node in (*order, *reversed(order)):
            if node in region and node not in kept and not _is_inside(node, region):
                region.discard(node)
    return [node for node in order if node in region]


def _float32_reason(node: ir.Node) -> str:
    if node.metadata_props.get(COMPUTE_KEY) == "float32":
        return _TAGGED
    if is_op(node, *FLOAT32_OPS):
        return f"{node.op_type} leaves the range or precision of float16"
    if is_op(node, "Cast") and _type_of(node.inputs[0]) in _WIDE and _type_of(node.outputs[0]) not in _WIDE:
        return "float16 cannot hold every integer beyond 2048"
    constants = [
        scalar_constant(value) for value in node.inputs if value is not None and value.dtype in _WIDE
    ]
    tiny = [value for value in constants if value and abs(value) < _SMALLEST_NORMAL]
    return f"the constant {tiny[0]:g} is below the normal numbers of float16" if tiny else ""


def _type_of(value: ir.Value | None) -> ir.DataType | None:
    return None if value is None else value.dtype


def _is_inside(node: ir.Node, region: Set[ir.Node]) -> bool:
    """Tells whether all float inputs come from a region, and all outputs stay in it.

    What has no float input, such as a Cast of positions, is inside if its consumers are: the angles of a rotary
    embedding are computed in float32 from the integer on.
    """
    producers = [
        value.producer()
        for value in node.inputs
        if value is not None and value.dtype in _WIDE and not value.is_initializer()
    ]
    consumers = [use.node for output in node.outputs for use in output.uses()]
    leaves = any(output.is_graph_output() for output in node.outputs)
    inside = all(producer is not None and producer in region for producer in producers)
    return inside and not leaves and bool(consumers) and all(consumer in region for consumer in consumers)


def _convert_nodes(graph: ir.Graph, kept: Mapping[ir.Node, str]) -> None:
    """Sets the type of every float value, adding one cast per value where types meet."""
    casts: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}
    for node in tuple(graph):
        wanted = ir.DataType.FLOAT if node in kept else ir.DataType.FLOAT16
        for index, value in enumerate(node.inputs):
            if value is None or value.dtype not in _FLOATS or value.dtype == wanted or is_op(node, "Cast"):
                continue
            if (value, wanted) not in casts:
                casts[value, wanted] = Builder(graph, node).op("Cast", value, dtype=wanted, to=int(wanted))
                casts[value, wanted].shape = value.shape
            node.replace_input_with(index, casts[value, wanted])
        for output in node.outputs:
            if output.dtype in _WIDE:
                output.type = ir.TensorType(wanted)
                if is_op(node, "Cast"):
                    node.attributes["to"] = ir.AttrInt64("to", int(wanted))


def _convert_outputs(graph: ir.Graph) -> None:
    for index, output in enumerate(graph.outputs):
        producer = output.producer()
        if output.dtype not in _WIDE or producer is None:
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
                remedy="run fold_constants first; control flow is not supported",
            )
