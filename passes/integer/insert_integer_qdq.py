"""Puts QuantizeLinear and DequantizeLinear around every operator that computes in float."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.graph_pass import GraphPass
from passes.core.properties import SHAPES
from passes.core.rewrite import modality_of
from passes.integer.encoding_plan import EncodingPlan
from passes.integer.layout import data_inputs
from passes.integer.qdq_builder import QdqBuilder
from passes.integer.quantised_operands import QuantisedOperands
from passes.integer.ranges.observe_ranges import is_float
from passes.integer.split_factor import SplitFactor
from program.number_format import IntegerType
from program.remark import Remark


class InsertIntegerQdq(GraphPass):
    """Turns a float32 graph into node units: every operator reads DequantizeLinear and feeds a QuantizeLinear.

    An activation is quantised once, where it is made, in the type of the scheme's activations. Where a product needs
    it as its second factor, or where layout operators carry it there, a second pair converts it. Graph inputs and
    outputs stay float32.

    Args:
        component: Name of the component, in front of names of its scales.
        plan: Encodings.
        operands: Makes constant operands.

    Attributes:
        remarks: Encodings of weights, and floors of masks.
    """

    needs = (SHAPES,)

    def __init__(self, component: str, plan: EncodingPlan, operands: QuantisedOperands) -> None:
        super().__init__()
        self._plan = plan
        self._operands = operands
        self._component = component
        self._build = QdqBuilder(component)
        self._split = SplitFactor(component)
        self._stored: dict[ir.Value, dict[IntegerType, ir.Value]] = {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Quantises the whole graph."""
        graph, nodes = model.graph, tuple(model.graph)
        self._stored.clear()
        outputs = [value for value in graph.outputs if is_float(value)]
        for value in graph.inputs:
            if is_float(value) and value.uses():
                self._store(graph, value, self._plan.stored(value), None)
        for node in nodes:
            if any(is_float(value) for value in (*node.inputs, *node.outputs)):
                self._quantise_node(graph, node)
        for value in outputs:
            self._finish_output(graph, value)
        self._operands.remove_unused(graph)
        self.remarks += self._operands.remarks
        return ir.passes.PassResult(model, True)

    def _quantise_node(self, graph: ir.Graph, node: ir.Node) -> None:
        moved = data_inputs(node)
        made, computed = node.outputs[0], self._plan.computed(node)
        if self._plan.splits(node):
            self._split_product(graph, node)
            self._store(graph, made, computed, node)
            return
        for index, value in enumerate(node.inputs):
            if value is None or not is_float(value):
                continue
            if value.is_initializer():
                encoding = self._plan.encoding(made, self._plan.stored(made)) if index in moved else None
                read = self._operands.constant(graph, node, index, encoding)
            else:
                kind = self._plan.stored(made) if index in moved else self._plan.operand(node, index)
                read = self._read(graph, value, kind, node)
            node.replace_input_with(index, read)
        for value in node.outputs:
            if is_float(value):
                kind = self._plan.stored(value) if moved else computed
                self._store(graph, value, kind, node)

    def _split_product(self, graph: ir.Graph, node: ir.Node) -> None:
        left, right = (self._factor(graph, node, value, index) for index, value in enumerate(node.inputs))
        second = node.inputs[1]
        if left is None or right is None or second is None:
            return
        narrow = self._plan.encoding(second, IntegerType.UINT8)
        self._split.rewrite(graph, node, left, right, narrow, self._plan.product_range(node))
        self._remark(node, f"{second.name} split into two 8-bit factors", "the chip multiplies 16 by 8 bits")

    def _factor(self, graph: ir.Graph, node: ir.Node, value: ir.Value | None, index: int) -> ir.Value | None:
        """Returns a decoded 16-bit factor of a product that is split."""
        if value is None or value.is_initializer():
            return None if value is None else self._operands.constant(graph, node, index, None)
        return self._read(graph, value, IntegerType.UINT16, node)

    def _read(self, graph: ir.Graph, value: ir.Value, kind: IntegerType, reader: ir.Node) -> ir.Value:
        """Returns a value in a type, converting it where it is stored in another one only."""
        stored, name = self._stored[value], value.name or ""
        if kind not in stored:
            source = next(iter(stored.values()))
            encoding = self._plan.encoding(value, kind)
            stored[kind] = self._build.pair(graph, source, encoding, name, source.producer())
            self._remark(reader, f"{name} converted to {kind.value}", "the operator takes this type")
        return stored[kind]

    def _store(self, graph: ir.Graph, value: ir.Value, kind: IntegerType, after: ir.Node | None) -> None:
        name = value.name or ""
        encoding = self._plan.encoding(value, kind)
        self._stored[value] = {kind: self._build.pair(graph, value, encoding, name, after)}
        if after is not None and not data_inputs(after) and self._plan.is_wide(value):
            self._remark(after, f"{name} has 16 bits", "8 bits represent it with too little precision")
        if after is not None and self._plan.is_limited(value):
            self._remark(
                after, f"{name} saturates below {encoding.range.low:.4g}", "softmax turns less into 0"
            )

    def _finish_output(self, graph: ir.Graph, value: ir.Value) -> None:
        """Gives a graph output a DequantizeLinear of its own, of the stored type."""
        producer = value.producer()
        if producer is None:
            return
        kind = self._plan.stored(value)
        decoded = self._read(graph, value, kind, producer)
        self._build.output(graph, value, decoded)

    def _remark(self, node: ir.Node, what: str, why: str) -> None:
        self.remarks.append(
            Remark(type(self).__name__, node.name or node.op_type, modality_of(node), what, why)
        )
