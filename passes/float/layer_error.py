"""Output error of each layer in each FP8 format, measured on observed inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from passes.core.rewrite import is_op, modality_of
from passes.float.calibration.calibrate import Method
from passes.float.calibration.observe import observe
from passes.float.calibration.statistics import Statistics
from passes.float.fp8 import decode, encode, round_trip, scales_for, storable_scales
from passes.float.fp8_weight import channel_absmax
from passes.float.insert_fp8_qdq import output_axis
from passes.float.precision import PrecisionPolicy, weight_of
from passes.float.value_ranges import RangeWatcher
from program.agreement import decibels
from program.number_format import FP8_FORMATS, Format
from program.onnx_executor import OnnxExecutor
from program.program import Array, Feeds


@dataclasses.dataclass(frozen=True)
class LayerError:
    """Measured output error of one layer.

    Attributes:
        node: Name of the node.
        weight: Name of its weight.
        modality: Its modality.
        relative: By format, ‖quantised - exact‖ / ‖exact‖ of the layer's output, weight and input both quantised.
    """

    node: str
    weight: str
    modality: str
    relative: Mapping[Format, float]

    def sqnr(self, fmt: Format) -> float:
        """Returns the signal-to-quantisation-noise ratio in dB, -20 · log10(relative error)."""
        return decibels(1.0, self.relative[fmt] ** 2)


@dataclasses.dataclass(frozen=True)
class ModalityError:
    """One row of the report: a modality in one format.

    Attributes:
        modality: The modality.
        format: The format.
        layers: How many layers were measured.
        mean_sqnr: Mean over the layers, dB.
        worst_layer: Name of the weight of the layer with the least ratio.
        worst_sqnr: Its ratio, dB.
    """

    modality: str
    format: Format
    layers: int
    mean_sqnr: float
    worst_layer: str
    worst_sqnr: float


def measured_layers(model: ir.Model, policy: PrecisionPolicy) -> list[ir.Node]:
    """Returns the layers that could be FP8: those with a constant weight that no keep rule or override holds back."""
    every_modality = dataclasses.replace(
        policy, by_modality=dict.fromkeys(policy.by_modality, Format.E4M3), measured={}
    )
    return [
        node
        for node in model.graph
        if weight_of(node) is not None
        and node.inputs[0] is not None
        and not node.inputs[0].is_initializer()
        and every_modality.format_of(node).format.is_fp8
    ]


def observe_layers(
    model: ir.Model, feeds: Iterable[Feeds], policy: PrecisionPolicy, watcher: RangeWatcher | None = None
) -> dict[str, Statistics]:
    """Runs a component once for all its calibration: statistics of every input of a layer that could be FP8.

    Args:
        model: The normalised graph, before conversion and quantisation.
        feeds: Inputs of each calibration run.
        policy: For its keep rules and overrides.
        watcher: Is shown every value of the graph.

    Returns:
        Statistics by tensor name, for `measure_layers` and `choose_scales`; empty, without a run for them, if there is
        no such layer.
    """
    layers = measured_layers(model, policy)
    if not layers and watcher is None:
        return {}
    convolutions = {_input_name(node) for node in layers if is_op(node, "Conv")}
    return observe(model, feeds, {_input_name(node) for node in layers}, convolutions, watcher)


def layer_errors(
    model: ir.Model, feeds: Iterable[Feeds], policy: PrecisionPolicy, method: Method
) -> list[LayerError]:
    """Runs a component and measures its layers: `observe_layers`, then `measure_layers`."""
    return measure_layers(model, observe_layers(model, feeds, policy), policy, method)


def measure_layers(
    model: ir.Model, statistics: Mapping[str, Statistics], policy: PrecisionPolicy, method: Method
) -> list[LayerError]:
    """Measures every layer that could be FP8 in both formats.

    Holds one layer's weight at a time, and a few rows of each layer's input.

    Args:
        model: The normalised graph, before conversion and quantisation.
        statistics: From `observe_layers`.
        policy: For its keep rules and overrides, and its base format, in which scales are stored.
        method: Chooses the scales of activations.
    """
    return [
        _measure(node, statistics[_input_name(node)], method, policy.base)
        for node in measured_layers(model, policy)
    ]


def modality_errors(errors: Sequence[LayerError]) -> list[ModalityError]:
    """Summarises layer errors: one row per modality and format, sorted by modality."""
    rows = []
    for modality in sorted({error.modality for error in errors}):
        group = [error for error in errors if error.modality == modality]
        for fmt in FP8_FORMATS:
            ratios = [error.sqnr(fmt) for error in group]
            worst = int(np.argmin(ratios))
            mean = float(np.mean(ratios))
            rows.append(ModalityError(modality, fmt, len(group), mean, group[worst].weight, ratios[worst]))
    return rows


def _measure(node: ir.Node, statistics: Statistics, method: Method, base: Format) -> LayerError:
    weight = weight_of(node)
    if weight is None or weight.const_value is None:  # filtered by measured_layers
        raise ValueError(f"{node.name} has no constant weight")
    tensor = weight.const_value
    axis = output_axis(node, len(tensor.shape))
    matrix = np.asarray(tensor.numpy()).astype(np.float32)
    largest = channel_absmax(tensor, axis)
    x = statistics.sample if statistics.example is None else statistics.example.astype(np.float32)
    exact = _apply(node, x, matrix)
    relative = {}
    for fmt in FP8_FORMATS:
        scale = float(storable_scales(method(statistics, fmt), fmt, base.numpy))
        quantised = _quantised_matrix(matrix, scales_for(largest, fmt, base.numpy), axis, fmt)
        error = _apply(node, round_trip(x, scale, fmt), quantised) - exact
        relative[fmt] = float(np.linalg.norm(error) / max(float(np.linalg.norm(exact)), 1e-30))
    return LayerError(node.name or "", weight.name or "", modality_of(node), relative)


def _quantised_matrix(
    matrix: npt.NDArray[np.float32], scales: npt.NDArray[Any], axis: int, fmt: Format
) -> npt.NDArray[np.float32]:
    wide = scales.astype(np.float32)
    wide = wide.reshape(-1, *[1] * (matrix.ndim - 1)) if axis == 0 else wide
    return decode(encode(matrix / wide, fmt), fmt) * wide


def _apply(node: ir.Node, x: Array, weight: Array) -> Array:
    """Computes the layer without bias on rows of its input (MatMul, Gemm) or on a whole input (Conv)."""
    if not is_op(node, "Conv"):
        transposed = output_axis(node, weight.ndim) == 0
        return np.asarray(x @ (weight.T if transposed else weight))
    inputs = [
        ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(array.shape))
        for name, array in (("x", x), ("w", weight))
    ]
    copy = ir.Node("", "Conv", inputs, attributes=list(node.attributes.values()), name="layer")
    copy.outputs[0].name, copy.outputs[0].type = "y", ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph(inputs, copy.outputs, nodes=[copy], opset_imports={"": 23}, name="layer")
    return OnnxExecutor(ir.Model(graph, ir_version=10))({"x": x, "w": weight})["y"]


def _input_name(node: ir.Node) -> str:
    value = node.inputs[0]
    return "" if value is None else value.name or ""
