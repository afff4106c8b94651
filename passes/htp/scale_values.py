"""Scales by powers of two what leaves float16 on its way through a graph."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from exporter.program import Feeds
from passes.errors import PassError
from passes.graph_windows import run_windows
from passes.htp.exponents import NORMALISES, SATURATES, node_exponents
from passes.htp.powers_of_two import CONSTANT_ELEMENTS, shift_output, times
from passes.remark import Remark
from passes.rewrite import Builder, input_at, is_op, modality_of, number, small_constant
from passes.value_ranges import FLOATS, RangeWatcher, ValueRange, score_values
from passes.widen_values import LARGEST, RANGE_LIMIT

WINDOW_BYTES = 128 << 20
"""Bytes of intermediate values that one run returns."""

_LIMITS = frozenset({"Clip", "Max", "Min", "Where"})
"""Where a constant beyond float16 does no harm when it is clamped."""


class Float16RangeError(PassError):
    """A graph has values that float16 does not hold in any form."""


class ScaleValues(ir.passes.InPlacePass):
    """Lets a value v beyond float16's range be stored as v · 2⁻ᵉ, which is exact, and undoes it where it fits again.

    HTP keeps sums wide inside products, reductions and normalisations, but stores every result in float16. A
    residual stream beyond 65504 goes scaled from layer to layer: normalisations do not see the factor. ReduceL2 rounds
    the sum of squares, too: 32.7 dB for a norm of 375 (v79, onnxruntime-qnn 2.7.0), so that its input is scaled.

    Args:
        samples: Inputs of the graph; without any, nothing is scaled.

    Attributes:
        remarks: One for each value that is stored scaled.
    """

    def __init__(self, samples: Sequence[Feeds]) -> None:
        self.remarks: list[Remark] = []
        self._samples = samples
        self._exponents: dict[ir.Value, int] = {}
        self._shifted: dict[tuple[ir.Value, int], ir.Value] = {}
        self._ranges: dict[str, ValueRange] = {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Observes the graph and scales.

        Raises:
            Float16RangeError: A graph input or output leaves float16, or an operator that powers of two do not go
                through reads or writes a value that does.
        """
        if not self._samples:
            return ir.passes.PassResult(model, False)
        graph = model.graph
        self._ranges = _observed(model, self._samples)
        self._find_exponents(graph)
        nodes = [node for node in graph if self._concerns(node)]
        for node in nodes:
            self._rewrite(graph, node)
        return ir.passes.PassResult(model, bool(nodes))

    def _find_exponents(self, graph: ir.Graph) -> None:
        scores = score_values(graph)
        for value in graph.inputs:
            self._require(value, "a graph input")
        for node in graph:
            for value in node.outputs:
                if value.is_graph_output():
                    self._require(value, "a graph output")
                elif value not in scores:
                    self._set_exponent(value, self._largest(value), node)
        for value in graph.initializers.values():
            uses = [use.node for use in value.uses()]
            selects = all(node.op_type in _LIMITS or scores.intersection(node.outputs) for node in uses)
            array = None if selects or value.dtype not in FLOATS else small_constant(value, CONSTANT_ELEMENTS)
            if array is not None and (largest := _finite_largest(array)) > LARGEST:
                self._exponents[value] = _exponent(largest, RANGE_LIMIT)

    def _set_exponent(self, value: ir.Value, largest: float, node: ir.Node) -> None:
        exponent = _exponent(largest, RANGE_LIMIT)
        if exponent:
            self._exponents[value] = exponent
            what, why = f"stored with a factor of 2^-{exponent}", f"{value.name} leaves the range of float16"
            name, modality = node.name or node.op_type, modality_of(node)
            self.remarks.append(Remark(type(self).__name__, name, modality, what, why, {"largest": largest}))

    def _require(self, value: ir.Value, what: str) -> None:
        largest = self._largest(value)
        if largest > LARGEST:
            raise _out_of_range(value, largest, what)

    def _largest(self, value: ir.Value) -> float:
        found = self._ranges.get(value.name or "")
        return 0.0 if found is None else found.largest

    def _concerns(self, node: ir.Node) -> bool:
        values = (*node.inputs, *node.outputs)
        return any(value in self._exponents for value in values) or bool(self._inner(node))

    def _inner(self, node: ir.Node) -> int:
        """Exponent that keeps what an operator rounds inside in float16."""
        if not is_op(node, "ReduceL2"):
            return 0
        return _exponent(self._largest(node.outputs[0]), math.sqrt(RANGE_LIMIT))

    def _rewrite(self, graph: ir.Graph, node: ir.Node) -> None:
        inputs = {
            index: self._exponents.get(value, 0)
            for index, value in enumerate(node.inputs)
            if value is not None and value.dtype in FLOATS
        }
        wanted = [self._exponents.get(value, 0) for value in node.outputs]
        found = node_exponents(node, inputs, max(self._inner(node), *wanted))
        if found is None or any(out.dtype not in FLOATS for out in node.outputs if is_op(node, "Cast")):
            values = [value for value in (*node.inputs, *node.outputs) if value in self._exponents]
            raise _out_of_range(
                values[0], self._largest(values[0]), f"an operand or result of {node.op_type}"
            )
        build = Builder(graph, node)
        for index, shift in found.shifts.items():
            self._shift_input(build, node, index, shift)
        self._adapt(build, node, inputs.get(0, 0), found.natural)
        for value, exponent in zip(tuple(node.outputs), wanted, strict=True):
            if value.dtype in FLOATS and exponent != found.natural:
                scaled = shift_output(graph, node, value, exponent - found.natural)
                self._exponents |= {scaled: exponent} if exponent else {}

    def _shift_input(self, build: Builder, node: ir.Node, index: int, shift: int) -> None:
        value = input_at(node, index)
        if value is None or not shift:
            return
        if is_op(node, *SATURATES):
            # one bound for all of them: beyond it the result is constant to 11 bits
            limit = build.scalar(_SATURATED * 2.0**shift, value.dtype or ir.DataType.FLOAT, "limit")
            low = build.scalar(-_SATURATED * 2.0**shift, value.dtype or ir.DataType.FLOAT, "limit")
            node.replace_input_with(index, times(build, build.op("Clip", value, low, limit), -shift))
            return
        if (value, shift) not in self._shifted:
            self._shifted[value, shift] = times(build, value, -shift)
        node.replace_input_with(index, self._shifted[value, shift])

    def _adapt(self, build: Builder, node: ir.Node, first: int, natural: int) -> None:
        """Scales what a node adds to, or compares with, its scaled input."""
        if is_op(node, *NORMALISES) and not is_op(node, "LpNormalization"):
            epsilon = number(node, "epsilon", 1e-5) * 2.0 ** (-2 * first)
            node.attributes["epsilon"] = ir.AttrFloat32("epsilon", epsilon)
        offsets = {"Clip": (1, 2), "Conv": (2,), "ConvTranspose": (2,)}.get(node.op_type, ())
        for index in offsets:
            value = input_at(node, index)
            if value is not None and natural:
                node.replace_input_with(index, times(build, value, -natural))


_SATURATED = 16.0
"""1 - tanh(16) and 1 - sigmoid(16) are below half a unit in float16's last place."""


def _observed(model: ir.Model, samples: Sequence[Feeds]) -> dict[str, ValueRange]:
    watcher = RangeWatcher(model.graph)
    for number_, sample in enumerate(samples):
        watcher.see(number_, sample)
    for runs in run_windows(model, samples, WINDOW_BYTES):
        for number_, values in enumerate(runs):
            watcher.see(number_, values)
    return watcher.ranges


def _exponent(largest: float, limit: float) -> int:
    return max(0, math.ceil(math.log2(largest / limit))) if largest > 0 else 0


def _finite_largest(array: np.typing.NDArray[np.generic]) -> float:
    magnitudes = np.abs(np.asarray(array, np.float32))
    return float(np.max(magnitudes, where=np.isfinite(magnitudes), initial=0.0))


def _out_of_range(value: ir.Value, largest: float, what: str) -> Float16RangeError:
    return Float16RangeError(
        "float16 does not hold a value, and it cannot be scaled",
        where=value.name or "",
        received=f"{largest:g} in {what}",
        remedy="use --npu auto, which takes another number format for such a component, or --npu a16w8, or --npu cpu",
    )
