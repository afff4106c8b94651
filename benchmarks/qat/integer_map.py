"""Precision maps that are harder than FP8: int8 or int4 activations per tensor, int4 weights per output channel."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir

from passes.core.infer_shapes import InferShapes
from passes.core.rewrite import Builder, Rewrite, shared_initializer
from passes.core.run_passes import run_passes
from passes.float.calibration.observe import observe
from passes.float.calibration.statistics import Statistics
from passes.float.insert_fp8_qdq import output_axis, quantised_inputs
from passes.float.precision import PrecisionPolicy, weight_of
from program.program import Component, Feeds

LIMITS = {ir.DataType.INT8: 127, ir.DataType.INT4: 7}
"""Largest codes; the types are used symmetrically about zero."""


def quantize_integers(
    component: Component, feeds: list[Feeds], policy: PrecisionPolicy, activations: ir.DataType
) -> None:
    """Quantises the layers that a policy would put into FP8 to integers instead; the rest stays float32.

    Args:
        component: Normalised, float32; changed in place.
        feeds: Calibration inputs; an activation's scale is its largest magnitude / the largest code.
        policy: Picks the layers.
        activations: INT8 or INT4.
    """
    names = {name for name, _ in quantised_inputs(component.model, policy)}
    if names:
        statistics = observe(component.model, feeds, names)
        run_passes(
            component, [InsertIntegerMap(policy, component.name, statistics, activations), InferShapes()]
        )


class InsertIntegerMap(Rewrite):
    """MatMul(x, w) → MatMul(DQ(Q(x)), DQ(codes)) with integer activations and int4 weights.

    Args:
        policy: Picks the layers: those it puts into FP8.
        component: Name of the component.
        statistics: Of the layers' inputs.
        activations: INT8 or INT4.
    """

    def __init__(
        self,
        policy: PrecisionPolicy,
        component: str,
        statistics: dict[str, Statistics],
        activations: ir.DataType,
    ) -> None:
        super().__init__()
        self._activations = activations
        self._policy = policy
        self._component = component
        self._statistics = statistics
        self._made: dict[str, ir.Value] = {}

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one layer."""
        weight, x = weight_of(node), node.inputs[0] if node.inputs else None
        if (
            weight is None
            or x is None
            or x.is_initializer()
            or not self._policy.format_of(node).format.is_fp8
        ):
            return False
        build = Builder(graph, node)
        node.replace_input_with(0, self._activation(build, x))
        node.replace_input_with(1, self._weight(build, node, weight))
        if not weight.uses() and weight.name:
            del graph.initializers[weight.name]
        return True

    def _activation(self, build: Builder, x: ir.Value) -> ir.Value:
        name = f"{self._component}/{x.name}"
        if name not in self._made:
            dtype = self._activations
            kind = dtype.name.lower()
            scale = np.float32(max(self._statistics[x.name or ""].absmax, 1e-6) / LIMITS[dtype])
            scale_value = shared_initializer(build.graph, f"{name}.{kind}.scale", ir.tensor(scale))
            zero_tensor = ir.tensor(np.zeros((), dtype.numpy()), dtype=dtype)
            zero = shared_initializer(build.graph, f"zero_point.{kind}", zero_tensor)
            codes = build.op("QuantizeLinear", x, scale_value, zero, dtype=dtype)
            self._made[name] = build.op("DequantizeLinear", codes, scale_value, zero, dtype=ir.DataType.FLOAT)
        return self._made[name]

    def _weight(self, build: Builder, node: ir.Node, weight: ir.Value) -> ir.Value:
        name, tensor = weight.name or "", weight.const_value
        if name not in self._made and tensor is not None:
            values = tensor.numpy()
            axis = output_axis(node, values.ndim)
            others = tuple(i for i in range(values.ndim) if i != axis)
            scales = (
                np.maximum(np.abs(values).max(axis=others), 1e-8).astype(np.float32)
                / LIMITS[ir.DataType.INT4]
            )
            codes = np.round(values / np.expand_dims(scales, others)).astype(ml_dtypes.int4)
            parts = (f"{name}.int4", ir.tensor(codes)), (f"{name}.int4.scale", ir.tensor(scales))
            inputs = [shared_initializer(build.graph, *part) for part in parts]
            self._made[name] = build.op("DequantizeLinear", *inputs, dtype=ir.DataType.FLOAT, axis=axis)
        return self._made[name]
