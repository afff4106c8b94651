"""Stores FP8 weights as float16 and drops the FP8 rounding of activations."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.rewrite import Rewrite, input_at, integer, is_op, required_input, shared_initializer
from passes.structure.decoded_weight import decoded_weight
from program.lazy_tensor import BlockwiseTensor
from program.remark import Remark

_FP8 = (ir.DataType.FLOAT8E4M3FN, ir.DataType.FLOAT8E5M2)
_FLOAT16_MAX = 65504.0

DECODED_SUFFIX = ".float16"
"""Appended to the name of the codes; the same codes have the same values in every component."""


class FoldFp8(Rewrite):
    """DequantizeLinear(codes, scale) → float16 initializer; DequantizeLinear(QuantizeLinear(x)) → x.

    HTP up to v81 computes nothing in FP8. Both formats decode to float16 exactly, so the weights lose nothing; they
    take two bytes each instead of one. Activations keep float16, which is closer to the source than FP8. A weight
    that several nodes or components share stays shared. Weights are decoded when they are written.

    Args:
        component: Name of the component, for the remark with the totals.
    """

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component
        self._before = self._after = self._activations = 0

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Folds all weights and activations, and states the bytes."""
        self._before = self._after = self._activations = 0
        result = super().call(model)
        if result.modified:
            numbers = {
                "bytes_before": float(self._before),
                "bytes_after": float(self._after),
                "activations": float(self._activations),
            }
            what = f"FP8 weights take {self._before} → {self._after} bytes as float16"
            why = f"HTP has no FP8 arithmetic; {self._activations} activations keep float16"
            self.remarks.append(Remark(type(self).__name__, self._component, "", what, why, numbers))
        return result

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Folds one DequantizeLinear of FP8 codes.

        Raises:
            PassError: The codes are neither an initializer nor made by a QuantizeLinear, or their values are an output.
        """
        if not is_op(node, "DequantizeLinear") or required_input(node, 0).dtype not in _FP8:
            return False
        if node.outputs[0].is_graph_output():
            raise PassError(
                "a graph output is an FP8 value",
                where=node.name or node.op_type,
                received=node.outputs[0].name or "",
                remedy="return the float tensor from the model",
            )
        codes = required_input(node, 0)
        source = codes.producer()
        if codes.const_value is not None:
            self._fold_weight(graph, node, codes, codes.const_value)
        elif source is not None and is_op(source, "QuantizeLinear"):
            _drop_rounding(graph, node, source)
            self._activations += 1
        else:
            raise PassError(
                "FP8 values are computed by another operator than QuantizeLinear",
                where=node.name or node.op_type,
                received=f"{source.op_type if source else 'graph input'} {codes.name}",
                remedy="let npuc quantise the float model itself",
            )
        return True

    def _fold_weight(
        self, graph: ir.Graph, node: ir.Node, codes: ir.Value, tensor: ir.TensorProtocol
    ) -> None:
        scales = required_input(node, 1).const_value
        if scales is None:
            raise PassError(
                "the scale of an FP8 weight is computed",
                where=node.name or node.op_type,
                remedy="export the scale as a constant",
            )
        name = f"{codes.name}{DECODED_SUFFIX}"
        if name not in graph.initializers:
            self._count(node, codes, tensor, scales)
            axis = integer(node, "axis", 1) % max(1, len(tensor.shape))
            shared_initializer(graph, name, decoded_weight(tensor, scales, axis, name))
        node.outputs[0].replace_all_uses_with(graph.initializers[name])
        _remove(graph, node)

    def _count(
        self, node: ir.Node, codes: ir.Value, tensor: ir.TensorProtocol, scales: ir.TensorProtocol
    ) -> None:
        before, after = int(tensor.nbytes + scales.nbytes), 2 * tensor.size
        self._before += before
        self._after += after
        numbers = {"bytes_before": float(before), "bytes_after": float(after)}
        bound = _largest_product(tensor, scales)
        why = "HTP has no FP8 arithmetic; float16 holds every decoded value"
        if bound > _FLOAT16_MAX:
            numbers["largest"] = bound
            why = "HTP has no FP8 arithmetic; values beyond float16's range saturate at ±65504"
        self.remark(node, f"{codes.name}: {before} → {after} bytes as float16", why, numbers)


def _largest_product(codes: ir.TensorProtocol, scales: ir.TensorProtocol) -> float:
    """Returns the largest scale times the format's largest code; 0 where the scales are not computed yet."""
    if isinstance(scales, BlockwiseTensor):
        return 0.0
    largest = np.arange(256, dtype=np.uint8).view(codes.dtype.numpy()).astype(np.float32)
    return float(np.max(largest[np.isfinite(largest)]) * np.max(np.asarray(scales.numpy(), np.float32)))


def _drop_rounding(graph: ir.Graph, node: ir.Node, quantize: ir.Node) -> None:
    x = required_input(quantize, 0)
    node.outputs[0].replace_all_uses_with(x)
    _remove(graph, node)
    if not quantize.outputs[0].uses() and not quantize.outputs[0].is_graph_output():
        _remove(graph, quantize)


def _remove(graph: ir.Graph, node: ir.Node) -> None:
    """Removes a node and the initializers only it used."""
    inputs = [input_at(node, index) for index in range(len(node.inputs))]
    graph.remove(node, safe=True)
    for value in inputs:
        if value is not None and value.is_initializer() and not value.uses() and value.name:
            graph.initializers.pop(value.name, None)
