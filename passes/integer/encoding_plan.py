"""Which encoding every activation of a graph gets."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.rewrite import is_op
from passes.integer.affine import Encoding, Range, affine_encoding
from passes.integer.integer_constant import tensor_range
from passes.integer.layout import LayoutGroups
from passes.integer.ranges.mask_range import softmax_floors
from passes.integer.ranges.observe_ranges import Observed, is_float
from passes.integer.ranges.range_methods import HEADROOM
from passes.integer.scheme import Scheme
from program.number_format import IntegerType

FIXED_RANGES: Mapping[str, Range] = {
    "Softmax": Range(0.0, 1.0),
    "Sigmoid": Range(0.0, 1.0),
    "Tanh": Range(-1.0, 1.0),
}
"""Operators with one fixed encoding: 0 and 1 / 2^bits, for Tanh the middle and 2 / 2^bits."""

LEAST_SQNR = 36.0
"""dB; a tensor that 8 bits represent worse than this has 16: residual sums and gated products with few, large values.
Normally distributed values have about 40 dB."""


class EncodingPlan:
    """Encodings of a float graph's activations, fixed before the graph is changed.

    Args:
        graph: The float graph.
        observed: Ranges by tensor name.
        scheme: Types.
        wide_factors: Whether the chip multiplies 16 × 16 bits.
        wide_values: Whether an activation that 8 bits represent badly may have 16.
        least_sqnr: What badly means, in dB.
    """

    def __init__(
        self,
        graph: ir.Graph,
        observed: Mapping[str, Observed],
        scheme: Scheme,
        wide_factors: bool = True,
        wide_values: bool = True,
        least_sqnr: float = LEAST_SQNR,
    ) -> None:
        self._scheme = scheme
        self._groups = LayoutGroups(graph)
        self._floors = softmax_floors(graph, self._groups, observed, scheme.activation)
        self._wide_factors = wide_factors
        self._splits = not wide_factors and scheme.activation is IntegerType.UINT16
        self._wide_values = wide_values
        self._least_sqnr = least_sqnr
        self._wide: set[ir.Value] = set()
        self._ranges: dict[ir.Value, Range] = {}
        self._factors: set[ir.Value] = set()
        for value in (*graph.inputs, *(output for node in graph for output in node.outputs)):
            if is_float(value) and (value.name or "") in observed:
                self._add_value(value, observed[value.name or ""])
        for node in graph:
            self._add_node(node)
        self._computed = {node: self._compute_type(node) for node in graph}

    def computed(self, node: ir.Node) -> IntegerType:
        """Returns the type of a node's activations, which is one for all of them.

        16 bits where one of its activations needs them, else the scheme's.
        """
        return self._computed[node]

    def is_wide(self, value: ir.Value) -> bool:
        """Tells whether a value has more bits than the scheme's activations."""
        return self._groups.find(value) in self._wide

    def encoding(self, value: ir.Value, kind: IntegerType) -> Encoding:
        """Returns the encoding of an activation in one of the types it is used in.

        Raises:
            PassError: The tensor was not observed.
        """
        group = self._groups.find(value)
        if group not in self._ranges:
            raise PassError(
                f"there is no calibrated range for {value.name}",
                remedy="run calibration with requests that reach this component",
            )
        fixed = self._fixed(group)
        if fixed is not None and not kind.is_signed:
            scale = (fixed.high - fixed.low) / (kind.highest + 1)
            return Encoding(kind, scale, round(-fixed.low / scale))
        return affine_encoding(self._ranges[group] if fixed is None else fixed, kind)

    def stored(self, value: ir.Value) -> IntegerType:
        """Returns the type in which layout operators move a value: that of the product it is a factor of, if any."""
        group = self._groups.find(value)
        kind = IntegerType.UINT16 if group in self._wide else self._scheme.activation
        return self._factor(kind) if group in self._factors else kind

    def operand(self, node: ir.Node, index: int) -> IntegerType:
        """Returns the type in which a computing node reads an activation."""
        kind = self.computed(node)
        return self._factor(kind) if is_op(node, "MatMul") and index == 1 else kind

    def splits(self, node: ir.Node) -> bool:
        """Tells whether a node is a product of two activations whose second factor is split (see `SplitFactor`).

        8 bits suffice where activations have 8 bits by default.
        """
        return self._splits and _second_factor(node) is not None

    def product_range(self, node: ir.Node) -> Range:
        """Returns the range of a node's result."""
        return self.encoding(node.outputs[0], IntegerType.UINT16).range

    def constant_range(self, value: ir.Value) -> Range:
        """Returns the range of a constant operand, masks limited to what a softmax needs."""
        if value.const_value is None:
            raise PassError("a constant has no value", where=value.name or "")
        whole = tensor_range(value.const_value, value.name or "")
        return Range(max(whole.low, self._floors.get(value, whole.low)), whole.high)

    def is_limited(self, value: ir.Value) -> bool:
        """Tells whether a floor cuts values off."""
        return value in self._floors

    def _compute_type(self, node: ir.Node) -> IntegerType:
        values = [value for value in (*node.inputs, *node.outputs) if value is not None and is_float(value)]
        wide = any(self._groups.find(value) in self._wide for value in values)
        return IntegerType.UINT16 if wide else self._scheme.activation

    def _factor(self, kind: IntegerType) -> IntegerType:
        """Returns the type of the second factor of a product of two activations.

        Where 16 × 16 bits are multiplied, the second factor is signed; else it has 8 bits.
        """
        return IntegerType.INT16 if kind is IntegerType.UINT16 and self._wide_factors else IntegerType.UINT8

    def _add_value(self, value: ir.Value, observed: Observed) -> None:
        """Covers what was seen; the highest scores decide a softmax and must not saturate."""
        if value in self._floors:
            low = max(observed.seen.low, self._floors[value])
            self._cover(value, Range(low, max(observed.seen.high, observed.range.high)))
            return
        if not self._wide_values or observed.sqnr >= self._least_sqnr:
            self._cover(value, observed.range)
            return
        # the range chosen for 8 bits saturates for the sake of smaller steps, which 16 bits have anyway
        self._cover(value, observed.seen.widened(HEADROOM))
        self._wide.add(self._groups.find(value))

    def _cover(self, value: ir.Value, needed: Range) -> None:
        group = self._groups.find(value)
        self._ranges[group] = needed.union(self._ranges.get(group, needed))

    def _add_node(self, node: ir.Node) -> None:
        for value in node.inputs:
            if value is not None and is_float(value) and value.is_initializer() and self._is_moved(value):
                self._cover(value, self.constant_range(value))
        second = _second_factor(node)
        if second is not None and not self._splits:
            self._factors.add(self._groups.find(second))

    def _is_moved(self, value: ir.Value) -> bool:
        return len(self._groups.members(value)) > 1

    def _fixed(self, group: ir.Value) -> Range | None:
        """Returns the range of a group that one operator of `FIXED_RANGES` makes."""
        sources = self._groups.sources(group)
        members = self._groups.members(group)
        others = any(member.producer() is None for member in members)
        if others or len(sources) != 1 or sources[0].domain:
            return None
        return FIXED_RANGES.get(sources[0].op_type)


def _second_factor(node: ir.Node) -> ir.Value | None:
    """Returns the second factor of a product of two activations."""
    second = node.inputs[1] if is_op(node, "MatMul") else None
    return None if second is None or second.is_initializer() else second
