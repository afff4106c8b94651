"""Puts weights and inputs of matrix products into FP8, as QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.properties import TAGGED
from passes.core.rewrite import Builder, Rewrite, integer, is_op, shared_initializer
from passes.float.fp8 import storable_scales
from passes.float.fp8_weight import quantised_weight
from passes.float.precision import LayerFormat, PrecisionPolicy, weight_of
from program.number_format import Format

ActivationScales = Mapping[tuple[str, Format], float]
"""(tensor name, FP8 format) → scale."""


class InsertFp8Qdq(Rewrite):
    """MatMul(x, w) → MatMul(DQ(Q(x)), DQ(codes)), for every layer the policy puts into an FP8 format.

    Weights have one scale per output channel, computed when they are written; activations one per tensor, from
    calibration. Inputs that several layers share are quantised once per format. Scales have the graph's float type;
    biases stay in it.

    Args:
        policy: Which layer gets which format.
        component: Name of the component; activation scales are named `<component>/…`.
        scales: Calibrated activation scales.
    """

    needs = (TAGGED,)

    def __init__(self, policy: PrecisionPolicy, component: str, scales: ActivationScales) -> None:
        super().__init__()
        self._policy = policy
        self._component = component
        self._scales = scales
        self._quantised: dict[tuple[str, Format], ir.Value] = {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites all layers."""
        self._quantised.clear()
        return super().call(model)

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one layer.

        Raises:
            PassError: The input of the layer was not calibrated.
        """
        weight, x = weight_of(node), node.inputs[0] if node.inputs else None
        if weight is None or x is None or x.is_initializer():
            return False
        choice = self._policy.format_of(node)
        if not choice.format.is_fp8:
            self.remark(node, f"stays {choice.format.value}", choice.reason)
            return False
        build = Builder(graph, node)
        node.replace_input_with(0, self._activation(build, node, x, choice))
        node.replace_input_with(1, self._weight(build, graph, node, weight, choice.format))
        if not weight.uses() and weight.name and not weight.is_graph_output():
            del graph.initializers[weight.name]
        return True

    def _activation(self, build: Builder, node: ir.Node, x: ir.Value, choice: LayerFormat) -> ir.Value:
        fmt, name = choice.format, x.name or ""
        found = self._scale(x, fmt)
        if found is None:
            raise PassError(
                f"there is no calibrated {fmt.value} scale for {name}",
                where=node.name or node.op_type,
                received=f"{len(self._scales)} scales",
                remedy="run calibration with requests that reach this component",
            )
        dtype = x.dtype or ir.DataType.FLOAT
        scale = storable_scales(found, fmt, dtype.numpy())
        self.remark(node, fmt.value, choice.reason, {"activation_scale": float(scale)})
        if (name, fmt) not in self._quantised:
            scale_name = f"{self._component}/{name}.{fmt.value}.scale"
            scale_value = shared_initializer(build.graph, scale_name, ir.tensor(scale, name=scale_name))
            zero = _zero_point(build.graph, fmt)
            codes = build.op(
                "QuantizeLinear", x, scale_value, zero, dtype=fmt.onnx, shape=_shape(x), saturate=1
            )
            self._quantised[name, fmt] = build.op(
                "DequantizeLinear", codes, scale_value, zero, dtype=dtype, shape=_shape(x)
            )
        return self._quantised[name, fmt]

    def _scale(self, x: ir.Value, fmt: Format) -> float | None:
        """The scale a value was given, under its own name or that of what it is a cast of.

        Casts to the base type came after calibration and do not change the scale; others are the model's own.
        """
        value: ir.Value | None = x
        while value is not None:
            if (value.name or "", fmt) in self._scales:
                return self._scales[value.name or "", fmt]
            producer = value.producer()
            value = producer.inputs[0] if producer is not None and is_op(producer, "Cast") else None
        return None

    def _weight(
        self, build: Builder, graph: ir.Graph, node: ir.Node, weight: ir.Value, fmt: Format
    ) -> ir.Value:
        name, tensor = weight.name or "", weight.const_value
        if (name, fmt) in self._quantised or tensor is None:
            return self._quantised[name, fmt]
        axis = output_axis(node, len(tensor.shape))
        codes, scales = quantised_weight(tensor, fmt, axis, tensor.dtype, name)
        values = [shared_initializer(graph, part.name or "", part) for part in (codes, scales)]
        decoded = build.op("DequantizeLinear", *values, dtype=tensor.dtype, shape=_shape(weight), axis=axis)
        self._quantised[name, fmt] = decoded
        return decoded


def output_axis(node: ir.Node, rank: int) -> int:
    """Returns the weight axis of the output channels: 0 for Conv and transposed Gemm, else the last."""
    first = is_op(node, "Conv") or (is_op(node, "Gemm") and bool(integer(node, "transB", 0)))
    return 0 if first else rank - 1


def quantised_inputs(model: ir.Model, policy: PrecisionPolicy) -> dict[tuple[str, Format], ir.Node]:
    """Lists the activations that need a scale: (tensor name, format) → first layer that reads it."""
    needed: dict[tuple[str, Format], ir.Node] = {}
    for node in model.graph:
        x = node.inputs[0] if node.inputs else None
        if weight_of(node) is None or x is None or x.is_initializer():
            continue
        fmt = policy.format_of(node).format
        if fmt.is_fp8:
            needed.setdefault((x.name or "", fmt), node)
    return needed


def _zero_point(graph: ir.Graph, fmt: Format) -> ir.Value:
    name = f"zero_point.{fmt.value}"
    return shared_initializer(graph, name, ir.tensor(np.zeros((), fmt.numpy), dtype=fmt.onnx, name=name))


def _shape(value: ir.Value) -> list[int] | None:
    return None if value.shape is None else [int(size) for size in value.shape.numpy()]
