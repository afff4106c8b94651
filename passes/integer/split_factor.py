"""A product of two 16-bit activations for chips that multiply 16 × 8 bits.

The second factor becomes the sum of two 8-bit values, its rounding to 8 bits and what that rounding left over, and the
product the sum of two: a · b = a · high + a · low. One 8-bit factor alone has two faults: its own rounding, and that
codes flip where the chip's 16-bit value is a step off the reference's, so that the results differ by whole 8-bit
steps. With the remainder a flip cancels out.
"""

from __future__ import annotations

import onnx_ir as ir

from passes.integer.affine import Encoding, Range, affine_encoding
from passes.integer.qdq_builder import QdqBuilder
from program.number_format import IntegerType

_REMAINDER = 0.75
"""Steps of 8 bits on either side of 0 that the remainder may have: half a step, and room for other roundings."""

_LOW_SHARE = 1 / 8
"""Range of the product with the remainder, of the whole product's. Remainders are a few 1/1000 of the factor's range;
this leaves room for factors whose range comes from few, large values."""


class SplitFactor:
    """Splits second factors into high and low halves; a factor of several products is split once.

    Args:
        component: Name of the component, in front of names of scales.
    """

    def __init__(self, component: str) -> None:
        self._build = QdqBuilder(component)
        self._halves: dict[ir.Value, tuple[ir.Value, ir.Value]] = {}

    def rewrite(
        self,
        graph: ir.Graph,
        node: ir.Node,
        first: ir.Value,
        second: ir.Value,
        narrow: Encoding,
        result: Range,
    ) -> None:
        """Turns a MatMul into the sum of two, in place; its output and what reads it stay.

        Args:
            graph: The graph.
            node: The MatMul.
            first: Decoded 16-bit first factor.
            second: Decoded 16-bit second factor.
            narrow: The second factor's encoding in 8 bits.
            result: Range of the product.
        """
        name, margin = node.outputs[0].name or "", (result.high - result.low) * _LOW_SHARE
        ranges = (Range(result.low - margin, result.high + margin), Range(-margin, margin))
        halves = self._split(graph, node, second, narrow)
        for index, (half, values, part) in enumerate(zip(halves, ranges, ("high", "low"), strict=True)):
            product = _node("MatMul", [first, half], f"{name}.{part}", node)
            graph.insert_before(node, product)
            encoding = affine_encoding(values, IntegerType.UINT16)
            node.replace_input_with(
                index, self._build.pair(graph, product.outputs[0], encoding, f"{name}.{part}", product)
            )
        node.op_type = "Add"

    def _split(
        self, graph: ir.Graph, node: ir.Node, second: ir.Value, narrow: Encoding
    ) -> tuple[ir.Value, ir.Value]:
        if second in self._halves:
            return self._halves[second]
        value = node.inputs[1]
        name = "" if value is None else value.name or ""
        high = self._build.pair(graph, second, narrow, name, second.producer())
        # 256 of its steps are one of the 8 bits, so that the 16-bit form of `high` is exact
        wide = Encoding(IntegerType.UINT16, narrow.scale / 256, narrow.zero_point * 256)
        rounded = self._build.pair(graph, high, wide, f"{name}.high", high.producer())
        rest = _node("Sub", [second, rounded], f"{name}.low", node, like=second)
        graph.insert_after(rounded.producer() or node, rest)
        limit = Range(-_REMAINDER * narrow.scale, _REMAINDER * narrow.scale)
        low = rest.outputs[0]
        for kind in (IntegerType.UINT16, IntegerType.UINT8):
            low = self._build.pair(graph, low, affine_encoding(limit, kind), f"{name}.low", low.producer())
        self._halves[second] = (high, low)
        return high, low


def _node(
    op_type: str, inputs: list[ir.Value], name: str, origin: ir.Node, like: ir.Value | None = None
) -> ir.Node:
    """Returns a node of the origin's modality; its output has the shape of `like`, else of the origin's output."""
    shape = (like or origin.outputs[0]).shape
    output = ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=shape)
    return ir.Node(
        "", op_type, inputs, outputs=[output], name=name, metadata_props=dict(origin.metadata_props)
    )
