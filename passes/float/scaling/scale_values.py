"""Scales by powers of two what leaves float16 on its way through a graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import onnx_ir as ir

from passes.core.graph_pass import GraphPass
from passes.core.rewrite import Builder, input_at, is_op, modality_of, number, small_constant
from passes.float.float16 import FLOATS, LARGEST, largest_finite
from passes.float.masked_values import masked_values, score_values
from passes.float.scaling.errors import Float16RangeError
from passes.float.scaling.exponents import NORMALISES, SATURATES, Exponents, exponent_of, node_exponents
from passes.float.scaling.powers_of_two import CONSTANT_ELEMENTS, shift_output, times
from passes.float.value_ranges import ValueRange
from passes.float.widen_values import RANGE_LIMIT
from program.remark import Remark

_LIMITS = frozenset({"Clip", "Max", "Min", "Where"})
"""Where a constant beyond float16 does no harm when it is clamped."""

_SATURATED = 16.0
"""1 - tanh(16) and 1 - sigmoid(16) are below half a unit in float16's last place."""


class ScaleValues(GraphPass):
    """Lets a value v beyond float16's range be stored as v · 2⁻ᵉ, which is exact, and undoes it where it fits again.

    Accelerators keep sums wide inside products, reductions and normalisations, but store every result in float16. A
    residual stream beyond 65504 goes scaled from layer to layer: normalisations do not see the factor. Some round the
    sum of squares inside ReduceL2, too, so that its input is scaled.

    Scores and what masks reach stay as they are: their large negative elements stand for minus infinity.

    Args:
        ranges: From `observe_ranges` on the component the graph was made from. A value of another name is stored as
            the operator leaves it.

    Attributes:
        remarks: One for each value that is stored scaled.
    """

    def __init__(self, ranges: Mapping[str, ValueRange]) -> None:
        super().__init__()
        self._ranges = ranges
        self._clamped: set[ir.Value] = set()
        self._exponents: dict[ir.Value, int] = {}
        self._shifted: dict[tuple[ir.Value, int], ir.Value] = {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Scales one graph.

        Raises:
            Float16RangeError: A graph input or output leaves float16, or an operator that powers of two do not go
                through reads or writes a value that does.
        """
        graph, modified = model.graph, False
        self._clamped = score_values(graph) | masked_values(graph)
        for value in (*graph.inputs, *graph.outputs):
            largest = self._largest(value)
            if largest > LARGEST and value not in self._clamped:
                raise Float16RangeError.of(value, largest, "a graph input or output")
        self._scale_constants(graph)
        for node in tuple(graph):
            wanted = [self._wanted(value) for value in node.outputs]
            if self._concerns(node, wanted):
                self._rewrite(graph, node, wanted)
                modified = True
        return ir.passes.PassResult(model, modified)

    def _scale_constants(self, graph: ir.Graph) -> None:
        for value in tuple(graph.initializers.values()):
            uses = [
                use
                for use in value.uses()
                if use.node.op_type not in _LIMITS and not self._clamped.intersection(use.node.outputs)
            ]
            array = small_constant(value, CONSTANT_ELEMENTS) if uses and value.dtype in FLOATS else None
            exponent = 0 if array is None else exponent_of(largest_finite(array), LARGEST)
            for use in uses if exponent else ():
                scaled = times(Builder(graph, use.node), value, -exponent)
                self._exponents[scaled] = exponent
                use.node.replace_input_with(use.idx, scaled)

    def _wanted(self, value: ir.Value) -> int | None:
        """Returns the exponent that a value is to have; None where nothing is known of it."""
        if value.is_graph_output():
            return 0
        found = self._ranges.get(value.name or "")
        if found is None or value.dtype not in FLOATS or value in self._clamped:
            return None
        return exponent_of(found.top, RANGE_LIMIT)

    def _largest(self, value: ir.Value) -> float:
        found = self._ranges.get(value.name or "")
        return 0.0 if found is None else found.top

    def _concerns(self, node: ir.Node, wanted: Sequence[int | None]) -> bool:
        return (
            any(self._exponents.get(value, 0) for value in node.inputs if value is not None)
            or any(wanted)
            or bool(self._inner(node))
        )

    def _inner(self, node: ir.Node) -> int:
        """Exponent that keeps what an operator rounds inside in float16."""
        if not is_op(node, "ReduceL2"):
            return 0
        return exponent_of(self._largest(node.outputs[0]), math.sqrt(RANGE_LIMIT))

    def _rewrite(self, graph: ir.Graph, node: ir.Node, wanted: Sequence[int | None]) -> None:
        inputs = {
            index: self._exponents.get(value, 0)
            for index, value in enumerate(node.inputs)
            if value is not None and value.dtype in FLOATS
        }
        needed = max([self._inner(node), *(exponent or 0 for exponent in wanted)])
        found = node_exponents(node, inputs, needed) or Exponents({i: -e for i, e in inputs.items()}, 0)
        self._check(node, found)
        build = Builder(graph, node)
        for index, shift in found.shifts.items():
            self._shift_input(build, node, index, shift)
        self._adapt(build, node, inputs.get(0, 0), found.natural)
        for value, target in zip(tuple(node.outputs), wanted, strict=True):
            if value.dtype in FLOATS:
                exponent = found.natural if target is None else target
                self._store(graph, node, value, found.natural, exponent)

    def _check(self, node: ir.Node, found: Exponents) -> None:
        """Refuses what does not fit where the operator reads or writes it."""
        shifts = {} if is_op(node, *SATURATES) else found.shifts
        operands = [
            (value, shifts.get(index)) for index, value in enumerate(node.inputs) if value is not None
        ]
        stored = [
            (value, self._exponents.get(value, 0) + shift) for value, shift in operands if shift is not None
        ]
        stored += [(value, found.natural) for value in node.outputs]
        for value, exponent in stored:
            if value not in self._clamped and self._largest(value) * 2.0**-exponent > LARGEST:
                raise Float16RangeError.of(
                    value, self._largest(value), f"an operand or result of {node.op_type}"
                )

    def _store(self, graph: ir.Graph, node: ir.Node, value: ir.Value, natural: int, exponent: int) -> None:
        if exponent != natural:
            value = shift_output(graph, node, value, exponent - natural)
        if exponent:
            self._exponents[value] = exponent
            name, modality = node.name or node.op_type, modality_of(node)
            what, why = f"stored with a factor of 2^-{exponent}", f"{value.name} leaves the range of float16"
            numbers = {"largest": self._largest(value)}
            self.remarks.append(Remark(type(self).__name__, name, modality, what, why, numbers))

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
        offsets = {"Clip": (1, 2), "Pad": (2,), "Conv": (2,), "ConvTranspose": (2,)}.get(node.op_type, ())
        for index in offsets:
            value = input_at(node, index)
            if value is not None and natural:
                node.replace_input_with(index, times(build, value, -natural))
